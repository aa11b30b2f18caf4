"""`sftguide plan`: does it fit, which batch does it make, and how long does it take."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..planning import BatchPlan, MemoryPlan
    from ..runs.throughput import Throughput

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(GiB|GB|MiB|MB)?\s*", re.IGNORECASE)
_UNITS = {"gib": 2**30, "gb": 10**9, "mib": 2**20, "mb": 10**6}


class _MemorySize(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        found = _SIZE.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no size; write it as 24GiB or 24GB", param, ctx)
        return int(float(found[1]) * _UNITS[(found[2] or "GiB").lower()])


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--gpu-memory",
    "gpu_bytes",
    type=_MemorySize(),
    default="24GiB",
    show_default=True,
    help="Of one card.",
)
@click.option("--gpus", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--rows", type=click.IntRange(min=1), help="Rows of the training data.")
@click.option(
    "--row-tokens", type=click.FloatRange(min=1), help="Mean tokens of a row."
)
@click.option("--data", is_flag=True, help="Count both, as Axolotl would tokenise.")
@click.option(
    "--storage",
    metavar="URL",
    help="The run history whose runs tell the hours; else as for `sftguide runs`.",
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write CONFIG with the micro batch that fits to this file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
@click.pass_context
def plan(
    ctx: click.Context,
    config: Path,
    gpu_bytes: int,
    gpus: int,
    rows: int | None,
    row_tokens: float | None,
    data: bool,
    storage: str | None,
    write: Path | None,
    as_json: bool,
) -> None:
    """Bytes of each part of a training with CONFIG, what fits, and how long it takes.

    The model's config.json is taken from its folder, from the hub's cache or, for some
    public models, from this package; no weights are read. Steps need the rows of the
    data, and their mean tokens where sequences are packed: as numbers, or counted with
    --data. Hours come from earlier runs. Exit status 1 where it does not fit.
    """
    from ..advice import summary
    from ..config.yaml_file import read_config
    from ..errors import PlanError
    from ..planning import KNOWN, find_model, plan_batch, plan_memory

    loaded = read_config(config)
    model = str(loaded.get("base_model", ""))
    found = find_model(model)
    if found is None:
        raise PlanError(
            f"{config}: base_model {model!r} is no folder with a config.json, is not "
            "in the hub's cache, and is none of those known here: "
            f"{', '.join(KNOWN)}; download its config.json into a folder"
        )
    try:
        made = plan_memory(loaded, found, gpu_bytes=gpu_bytes, gpus=gpus)
    except PlanError as error:
        raise PlanError(f"{config}: {error}") from None
    if data:
        rows, row_tokens = _counted(config)
    most = max(1, made.largest_micro_batch)
    batch, missing = None, "hangs on the rows and their tokens: "
    missing += "--rows and --row-tokens, or --data"
    try:
        batch = plan_batch(loaded, most, gpus=gpus, rows=rows, row_tokens=row_tokens)
    except PlanError as error:
        missing = str(error)
    past, unknown = _past(storage or _block(loaded).get("storage"), loaded)
    samples = _samples(loaded, batch, rows)
    hours = {t: samples / t.samples_per_s / gpus / 3600 for t in past if samples}
    if as_json:
        click.echo(json.dumps(_as_dict(made, batch, past, hours), indent=2))
    else:
        _print(made, model)
        click.echo(f"{'data':<24} {summary(loaded, rows=rows)[1].split(None, 1)[1]}")
        packed = bool(loaded.get("sample_packing"))
        click.echo(f"{'batch':<24} {_batch(batch, packed) if batch else missing}")
        for line in _times(past, hours) or [unknown]:
            click.echo(f"{'time':<24} {line}")
    if write is not None:
        _write(config, write, made, batch, loaded)
    if not made.fits:
        ctx.exit(1)


def _block(loaded: dict[str, Any]) -> dict[str, Any]:
    """The plugin's settings, or none where they are not even a mapping."""
    block = loaded.get("sftguide")
    return block if isinstance(block, dict) else {}


def _counted(config: Path) -> tuple[int, float]:
    """Rows, and mean tokens of one, of a configuration's own data."""
    from .check import examine

    found = examine(config)
    rows = sum(each.rows for each in found)
    return rows, max(1.0, sum(each.tokens for each in found) / max(1, rows))


def _past(storage: str | None, config: dict[str, Any]) -> tuple[list[Throughput], str]:
    """What runs like this one had, and what to say where there are none."""
    from ..errors import StorageError
    from ..runs.history import RunHistory, is_there
    from ..runs.throughput import past_throughput

    if not is_there(storage):
        return [], "unknown: there is no run history yet"
    try:
        history = RunHistory(storage)
        found = past_throughput(history.runs(), config)
    except StorageError as error:
        return [], f"unknown: {error}"
    return found, (
        f"unknown: no earlier run of this model, adapter and length in {history.url}"
    )


def _samples(
    config: dict[str, Any], batch: BatchPlan | None, rows: int | None
) -> float | None:
    """Of the whole run; None where nobody knows."""
    if batch is not None and batch.steps and batch.samples:
        return batch.steps * batch.samples
    return rows * float(config.get("num_epochs") or 1) if rows else None


def _batch(batch: BatchPlan, packed: bool) -> str:
    cards = f"{batch.cards} card{'s' * (batch.cards > 1)}"
    made = f"micro batch {batch.micro_batch_size} x {batch.accumulation} x {cards}"
    held = f"{batch.sequences} samples = {made}"
    if packed:
        some = "several" if batch.samples is None else f"about {batch.samples:.0f}"
        held = f"{some} samples in {batch.sequences} sequences = {made}"
    if batch.steps_an_epoch is None:
        return held
    return f"{held}; {batch.steps_an_epoch:,} steps an epoch, {batch.steps:,} in all"


def _times(past: list[Throughput], hours: dict[Throughput, float]) -> list[str]:
    from ..units import duration

    return [
        (
            f"about {duration(3600 * hours[t])}"
            if t in hours
            else "--rows gives the hours"
        )
        + f" on {t.device}: {t.samples_per_s:.3g} samples a second on one, as in "
        f"{t.runs} earlier run{'s' * (t.runs > 1)}"
        for t in past
    ]


def _print(made: MemoryPlan, model: str) -> None:
    for part in made.parts:
        click.echo(f"{part.name:<24} {_gib(part.size_bytes)}  {part.formula}")
    setting = made.setting
    click.echo(
        f"{'peak':<24} {_gib(made.peak_bytes)}  at {made.peak_at}: micro batch "
        f"{setting.micro_batch_size} x {setting.sequence_len:,} tokens"
    )
    verdict = "fits" if made.fits else "does not fit"
    most = made.largest_micro_batch
    advice = (
        f"largest micro batch {most}" if most else "not even a micro batch of 1 does"
    )
    click.echo(
        f"{model} {verdict} in {_gib(made.gpu_bytes).strip()} by estimate; {advice}"
    )
    click.echo(
        "weights, adapters and optimizer are exact; the rest is estimated, and was "
        "not measured on a card"
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:6.2f} GiB"


def _as_dict(
    made: MemoryPlan,
    batch: BatchPlan | None,
    past: list[Throughput],
    hours: dict[Throughput, float],
) -> dict[str, Any]:
    return {
        "parts": [
            {
                "name": part.name,
                "bytes": part.size_bytes,
                "formula": part.formula,
                "source": part.source,
            }
            for part in made.parts
        ],
        "peak_bytes": made.peak_bytes,
        "peak_at": made.peak_at,
        "gpu_bytes": made.gpu_bytes,
        "fits": made.fits,
        "largest_micro_batch": made.largest_micro_batch,
        "parameters": made.architecture.parameters,
        "batch": None if batch is None else asdict(batch),
        "throughput": [{**asdict(t), "hours": hours.get(t)} for t in past],
    }


def _write(
    config: Path,
    target: Path,
    made: MemoryPlan,
    batch: BatchPlan | None,
    loaded: dict[str, Any],
) -> None:
    """The file with another micro batch, all else and all comments as they were.

    Where micro batch and accumulation make the batch, the accumulation follows.
    """
    from ..errors import PlanError

    if not made.largest_micro_batch:
        raise PlanError(f"{target}: not written, for no micro batch fits")
    micro = batch.micro_batch_size if batch else made.largest_micro_batch
    keys = {"micro_batch_size": micro}
    derived = "effective_batch_size" in _block(loaded)
    if batch is not None and not derived:
        keys["gradient_accumulation_steps"] = batch.accumulation
    text = config.read_text(encoding="utf-8")
    for key, value in keys.items():
        line = re.compile(rf"^({key}:\s*)\d+", re.MULTILINE)
        if line.search(text):
            text = line.sub(rf"\g<1>{value}", text, count=1)
        elif value != 1:
            text = text.rstrip("\n") + f"\n{key}: {value}\n"
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PlanError(f"{target}: cannot be written ({error.strerror})") from None
    said = ", ".join(f"{key} {value}" for key, value in keys.items())
    click.echo(f"{target}: {said}")
