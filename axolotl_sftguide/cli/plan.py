"""`sftguide plan`: does it fit, and which batch does it make."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..memory import MemoryPlan

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
    write: Path | None,
    as_json: bool,
) -> None:
    """Bytes of each part of a training with CONFIG, and what fits on the card.

    The model's config.json is taken from its folder, from the hub's cache or, for some
    public models, from this package; no weights are read. Exit status 1 where it does
    not fit.
    """
    from ..advice import summary
    from ..configs import read_config
    from ..errors import PlanError
    from ..memory import KNOWN, find_model, plan_memory

    loaded = read_config(config)
    model = str(loaded.get("base_model", ""))
    found = find_model(model)
    if found is None:
        raise PlanError(
            f"{config}: base_model {model!r} is no folder with a config.json, is not "
            "in the hub's cache, and is none of those known here: "
            f"{', '.join(KNOWN)}; download its config.json into a folder"
        )
    made = plan_memory(loaded, found, gpu_bytes=gpu_bytes, gpus=gpus)
    if as_json:
        click.echo(json.dumps(_as_dict(made), indent=2))
    else:
        _print(made, model)
        for line in summary(loaded, rows=rows, ranks=gpus)[1:]:
            click.echo(line)
    if write is not None:
        _write(config, write, made)
    if not made.fits:
        ctx.exit(1)


def _print(made: MemoryPlan, model: str) -> None:
    for part in made.parts:
        click.echo(f"{part.name:<18} {_gib(part.size_bytes)}  {part.formula}")
    setting = made.setting
    click.echo(
        f"{'peak':<18} {_gib(made.peak_bytes)}  at the {made.peak_at}: micro batch "
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
        "not measured on a card; time unknown"
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:6.2f} GiB"


def _as_dict(made: MemoryPlan) -> dict[str, Any]:
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
    }


def _write(config: Path, target: Path, made: MemoryPlan) -> None:
    """The file with another micro batch, all else and all comments as they were."""
    from ..errors import PlanError

    most = made.largest_micro_batch
    if not most:
        raise PlanError(f"{target}: not written, for no micro batch fits")
    text = config.read_text(encoding="utf-8")
    line = re.compile(r"^(micro_batch_size:\s*)\d+", re.MULTILINE)
    if line.search(text):
        text = line.sub(rf"\g<1>{most}", text, count=1)
    else:
        text = text.rstrip("\n") + f"\nmicro_batch_size: {most}\n"
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PlanError(f"{target}: cannot be written ({error.strerror})") from None
    click.echo(f"{target}: micro_batch_size {most}")
