"""How `sftguide plan` shows memory, batch and time."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .common import echo

if TYPE_CHECKING:
    from ..planning import BatchPlan, MemoryPlan
    from ..runs.throughput import Throughput


NO_BATCH = "depends on row count and length; pass --rows and --row-tokens, or --data"
"""The text in the place of a batch that is not known."""


def batch_line(batch: BatchPlan, packed: bool, none_fits: bool) -> str:
    """How a step is made up."""
    text = "no micro batch fits" if none_fits else _made_up(batch, packed)
    if batch.steps_an_epoch is None:
        return text
    return f"{text}; {batch.steps_an_epoch:,} steps per epoch, {batch.steps:,} in all"


def _made_up(batch: BatchPlan, packed: bool) -> str:
    gpus = f"{batch.gpus} GPU{'s' * (batch.gpus > 1)}"
    product = f"micro batch {batch.micro_batch_size} x {batch.accumulation} x {gpus}"
    text = f"{batch.sequences} sample{'s' * (batch.sequences > 1)} = {product}"
    if packed:
        some = "several" if batch.samples is None else f"about {batch.samples:.0f}"
        text = f"{some} samples in {batch.sequences} sequences = {product}"
    return text


def batch_as_dict(made: MemoryPlan, batch: BatchPlan | None) -> dict[str, Any] | None:
    """The batch as plain values; without a micro batch if none fits."""
    if batch is None:
        return None
    found = {**asdict(batch), "cards": batch.gpus}
    if not made.largest_micro_batch:
        found |= {"micro_batch_size": None, "accumulation": None}
    return found


def time_lines(past: list[Throughput], hours: dict[Throughput, float]) -> list[str]:
    """How long the run takes, by device of earlier runs."""
    from ..units import duration

    return [
        (
            f"about {duration(3600 * hours[t])}"
            if t in hours
            else "unknown without --rows"
        )
        + f" on {t.device} ({t.samples_per_s:.3g} samples/s{_each(t.device)} in "
        f"{t.runs} earlier run{'s' * (t.runs > 1)})"
        for t in past
    ]


def _each(device: str) -> str:
    """The unit after a rate; a machine without a GPU has one process."""
    return "" if device.lower().startswith(("cpu", "mps")) else " per GPU"


_NAME = 26


def print_row(name: str, text: str) -> None:
    """A line of the table, wrapped below its second column."""
    lines = textwrap.wrap(text, 80 - _NAME, break_long_words=False) or [""]
    for first, line in zip([name, *[""] * len(lines)], lines, strict=False):
        echo(f"{first:<{_NAME}}{line}")


def memory_row(name: str, size: int, note: str, *, aside: bool = False) -> str:
    """A line of the table with a size; in parentheses if it is not in the sum."""
    shown = f"({size / 2**30:.2f} GiB)" if aside else _gib(size) + " "
    return f"{name:<{_NAME - 1}}{shown:>12} {note}"


def print_memory(made: MemoryPlan, model: str, verbose: bool) -> None:
    """Print the parts, the peak and what fits."""
    for part in made.parts:
        aside = part.name not in made.at_peak
        echo(memory_row(part.name, part.size_bytes, part.note, aside=aside))
        if verbose:
            print_row("", f"{part.formula} ({part.source})")
    setting = made.setting
    rows, length = setting.micro_batch_size, setting.sequence_len
    step = f"a step of {rows} x {length:,}, at {made.peak_at}"
    if made.peak_at == "evaluation":
        other = f"; a step needs {made.step_bytes / 2**30:.2f} GiB"
        step = f"an evaluation of {setting.evaluation_rows} x {length:,}{other}"
    elif made.evaluation_bytes:
        step += f"; an evaluation needs {made.evaluation_bytes / 2**30:.2f} GiB"
    lines = textwrap.wrap(step, 80 - _NAME - 12)
    echo(memory_row("peak", made.peak_bytes, lines[0]))
    for line in lines[1:]:
        echo(" " * (_NAME + 12) + line)
    if any(part.name not in made.at_peak for part in made.parts):
        echo("Parts in parentheses are not held at the peak.")
    verdict = "fits" if made.fits else "does not fit"
    most = made.largest_micro_batch
    echo(f"\n{model} {verdict} in {_gib(made.gpu_bytes).strip()} (estimated).")
    echo(f"Largest micro batch that fits: {most or 'none'}.")
    if made.not_planned:
        print_row("not planned", ", ".join(made.not_planned))
    if made.states_are_exact:
        echo("Weights, adapters and optimizer are exact; the rest is estimated.\n")
    else:
        echo("All parts are estimates, as keys are not planned.\n")


def _gib(size: int) -> str:
    return f"{size / 2**30:6.2f} GiB"
