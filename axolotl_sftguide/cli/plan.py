"""`sftguide plan`: memory, micro batch and time of a training, estimated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import plan_page, plan_simulated
from .common import echo, echo_json, note, wants_json
from .memory_size import MemorySize
from .numbers import MOST_GPUS, Number, WholeNumber

if TYPE_CHECKING:
    from ..hosts.axolotl import PreparedRun
    from ..planning import BatchPlan, MemoryPlan, Trainer
    from ..runs.throughput import Throughput


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--gpu-memory",
    "gpu_bytes",
    type=MemorySize(),
    default="24GiB",
    show_default=True,
    help="Memory of one GPU.",
)
@click.option(
    "--gpus",
    type=WholeNumber(1, MOST_GPUS),
    default=1,
    show_default=True,
    help="Number of GPUs.",
)
@click.option("--rows", type=WholeNumber(1), help="Number of training rows.")
@click.option("--row-tokens", type=Number(min=1), help="Mean tokens per row.")
@click.option("--data", is_flag=True, help="Count rows and tokens; needs Axolotl.")
@click.option(
    "--storage",
    metavar="URL",
    help="Run history used to estimate duration.",
)
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write CONFIG with the planned micro batch to a file.",
)
@click.option(
    "--simulate",
    is_flag=True,
    help="Also run the model's own code on tensors without memory; needs torch.",
)
@click.option(
    "--trainer",
    type=click.Choice(["axolotl", "trl", "unsloth"]),
    default="axolotl",
    show_default=True,
    help="Whose code trains; the keys of CONFIG are Axolotl's.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show formulas and sources.")
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
    simulate: bool,
    trainer: Trainer,
    verbose: bool,
) -> None:
    """Estimate memory, micro batch and time for CONFIG.

    The estimate needs the model's config.json only: from a local folder, the Hub's
    cache, this package, or the Hub. The number of steps depends on row count and, with
    packing, on row length: pass --rows and --row-tokens, or --data. Time is estimated
    from earlier runs. --simulate also takes architectures that the estimate does not
    know. Exit status 1 means that the training does not fit.
    """
    from ..advice import summary
    from ..config.yaml_file import read_config
    from ..errors import PlanError
    from ..planning import plan_batch, plan_memory

    loaded = read_config(config)
    model_config = _model_config(config, loaded)
    try:
        made = plan_memory(
            loaded, model_config, gpu_bytes=gpu_bytes, gpus=gpus, trainer=trainer
        )
    except PlanError as error:
        if not simulate:
            raise PlanError(f"{config}: {error}") from None
        ctx.exit(_simulate_alone(loaded, model_config, gpu_bytes))
    count: Callable[[int, int], int] | None = None
    if data:
        found = _prepared(config)
        rows, row_tokens = found.rows, found.row_tokens(gpus)
        count = partial(found.steps, ranks=gpus)
    most = max(1, made.largest_micro_batch)
    batch, missing = None, plan_page.NO_BATCH
    try:
        batch = plan_batch(
            loaded, most, gpus=gpus, rows=rows, row_tokens=row_tokens, count=count
        )
    except PlanError as error:
        missing = str(error)
    past, unknown = _past(storage or _block(loaded).get("storage"), loaded)
    samples = _samples(loaded, batch, rows)
    hours = {t: samples / t.samples_per_s / gpus / 3600 for t in past if samples}
    stepped = None
    if simulate:
        stepped = plan_simulated.simulated_plan(loaded, model_config, gpu_bytes)
    if wants_json():
        answer = _as_dict(made, batch, past, hours)
        answer["simulated"] = stepped and plan_simulated.as_dict(stepped)
        echo_json(answer)
    else:
        plan_page.print_memory(made, str(loaded["base_model"]), verbose)
        plan_simulated.show(stepped, str(loaded["base_model"]))
        packed = bool(loaded.get("sample_packing"))
        none = not made.largest_micro_batch
        step = plan_page.batch_line(batch, packed, none) if batch else missing
        plan_page.print_row("data", summary(loaded, rows=rows)[1].split(None, 1)[1])
        plan_page.print_row("batch", step)
        for line in plan_page.time_lines(past, hours) or [unknown]:
            plan_page.print_row("time", line)
    if write is not None:
        _write(config, write, made, batch, loaded)
    if not made.fits:
        ctx.exit(1)


def _model_config(config: Path, loaded: dict[str, Any]) -> dict[str, Any]:
    """The model's `config.json`, with a line if it is that of a similar model."""
    from ..errors import PlanError
    from ..planning import locate_model

    model = str(loaded.get("base_model") or "")
    found = locate_model(model, download=True)
    if found is None:
        raise PlanError(_no_model(config, model))
    if found.assumed and not wants_json():
        note(f"{model}: planned with the shapes of {found.assumed}\n")
    return found.config


def _simulate_alone(
    loaded: dict[str, Any], model: dict[str, Any], gpu_bytes: int
) -> int:
    """Show the simulation of a model that has no estimate; the exit status."""
    found = plan_simulated.simulated_plan(loaded, model, gpu_bytes)
    if wants_json():
        echo_json(plan_simulated.as_dict(found))
    else:
        plan_simulated.show(found, str(loaded.get("base_model", "")))
    return 0 if found.fits else 1


def _no_model(config: Path, model: str) -> str:
    """The error for a model whose `config.json` is not found."""
    from ..config.model_configs import unfit_path
    from ..config.validation import shown

    if not model:
        return f"{config}: base_model is not set; set it to a model"
    if unfit := unfit_path(model):
        return f"{config}: base_model {shown(model)}: {unfit}"
    name = "MODEL" if len(model) > 100 else model
    return (
        f"{config}: no config.json for base_model {shown(model)} here or on the Hub; "
        f"run `hf download {name} config.json`, or set base_model to a local folder"
    )


def _block(loaded: dict[str, Any]) -> dict[str, Any]:
    """The `sftguide:` block, or an empty one if it is not a mapping."""
    block = loaded.get("sftguide")
    return block if isinstance(block, dict) else {}


def _prepared(config: Path) -> PreparedRun:
    """The rows that a config trains on, after Axolotl's preparation.

    Raises:
        PlanError: If they are not prepared before training, or cannot be.
    """
    from ..errors import PlanError
    from .check_findings import examine

    found = examine(config)
    if found.run is None:
        why = found.error or "its rows are not prepared before training"
        raise PlanError(f"{config}: --data has no rows to count: {why}")
    return found.run


def _past(storage: str | None, config: dict[str, Any]) -> tuple[list[Throughput], str]:
    """Throughput of similar runs, and the text to print if there are none."""
    from ..errors import StorageError
    from ..runs.history import RunHistory, is_there
    from ..runs.throughput import past_throughput

    if not is_there(storage):
        return [], "unknown: there is no run history yet"
    try:
        history = RunHistory(storage)
        found = past_throughput(history.runs(with_config=False), config)
    except StorageError as error:
        return [], f"unknown: {error}"
    return found, (
        "unknown: no earlier run with this model, adapter and sequence length in "
        f"{history.url}"
    )


def _samples(
    config: dict[str, Any], batch: BatchPlan | None, rows: int | None
) -> float | None:
    """Samples of the whole run; None if unknown."""
    if batch is not None and batch.steps and batch.samples:
        return batch.steps * batch.samples
    return rows * float(config.get("num_epochs") or 1) if rows else None


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
                "at_peak": part.name in made.at_peak,
                "note": part.note,
                "formula": part.formula,
                "source": part.source,
            }
            for part in made.parts
        ],
        "peak_bytes": made.peak_bytes,
        "peak_at": made.peak_at,
        "step_bytes": made.step_bytes,
        "evaluation_bytes": made.evaluation_bytes,
        "gpu_bytes": made.gpu_bytes,
        "fits": made.fits,
        "largest_micro_batch": made.largest_micro_batch,
        "not_planned": list(made.not_planned),
        "states_are_exact": made.states_are_exact,
        "parameters": made.architecture.parameters,
        "batch": plan_page.batch_as_dict(made, batch),
        "throughput": [{**asdict(t), "hours": hours.get(t)} for t in past],
    }


def _write(
    config: Path,
    target: Path,
    made: MemoryPlan,
    batch: BatchPlan | None,
    loaded: dict[str, Any],
) -> None:
    """Write the config with the planned micro batch and matching accumulation."""
    from ..config.yaml_file import with_values
    from ..errors import PlanError

    if not made.largest_micro_batch:
        raise PlanError(f"{target}: not written, as no micro batch fits")
    values = {
        "micro_batch_size": batch.micro_batch_size
        if batch
        else made.largest_micro_batch
    }
    derived = "effective_batch_size" in _block(loaded)
    if batch is not None and not derived:
        values["gradient_accumulation_steps"] = batch.accumulation
    # 1 is Axolotl's default of both.
    changed = {k: v for k, v in values.items() if v != 1 or k in loaded}
    text = with_values(config.read_text(encoding="utf-8"), changed)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PlanError(f"{target}: cannot be written ({error.strerror})") from None
    written = ", ".join(f"{key}: {value}" for key, value in values.items())
    echo(f"wrote {target} with {written}")
