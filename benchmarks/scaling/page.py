"""The tables of `docs/scale.md`, made from the results of `benchmarks/scale.py`."""

from collections.abc import Iterable
from typing import Any

UNITS = {
    "cpu_s": "s CPU",
    "mib": "MiB",
    "mb": "MB",
    "trace_mb": "MB trace",
    "trace_bytes_per_step": "bytes per step",
    "history_mb": "MB history",
    "us_per_step": "us per step",
    "mib_at_10%": "MiB at 10%",
    "mib_at_end": "MiB at the end",
    "longest_step_ms": "ms for the slowest step",
    "update_ms": "ms",
    "bytes_per_step": "bytes per step",
    "per_s": "trials per s",
    "longest_claim_s": "s for the slowest claim",
}
"""What is shown of a figure, in this order. Wall time is left out: on a shared machine,
it says more about the others."""

ONLY = {
    "runs watch: one update": ("update_ms",),
    "recorded and judged": ("us_per_step", "mib_at_10%", "mib_at_end"),
}
"""Of these, the figures that count."""

HEADINGS = {"runs": "runs", "steps": "steps", "rows": "rows", "workers": "workers"}


def tables(found: dict[str, Any]) -> dict[str, str]:
    """A table for each part that was measured, by its name."""
    return {
        part: "".join(lines(part, found[part])) for part in HEADINGS if part in found
    }


def lines(part: str, measured: dict[str, Any]) -> Iterable[str]:
    """The lines of one table: a column for each size."""
    figures = measured["figures"]
    sizes = sorted({figure["size"] for figure in figures})
    cells = {(f["what"], f["size"]): cell(f) for f in figures}
    heads = [f"{size:,} {HEADINGS[part]}" for size in sizes]
    if part == "workers":
        heads = [f"{size}" for size in sizes]
    yield f"| | {' | '.join(heads)} |\n"
    yield f"|---|{'---:|' * len(sizes)}\n"
    for what in dict.fromkeys(figure["what"] for figure in figures):
        row = [cells.get((what, size), "") for size in sizes]
        name = f"`{what}`" if what.startswith("sftguide") else what
        yield f"| {name} | {' | '.join(row)} |\n"
    yield f"\nMeasured on {measured['machine']}.\n"


def cell(figure: dict[str, Any]) -> str:
    """The figures of one measurement."""
    wanted = ONLY.get(figure["what"], UNITS)
    return ", ".join(
        f"{figure[name]:,} {UNITS[name]}" for name in wanted if name in figure
    )
