"""`sftguide runs compare`: what runs differ in, and then their curves."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from ..config.differences import flatten, varied_keys
from ..errors import TraceError
from ..runs.history import Run, RunHistory
from ..runs.traces import read_trace
from ..signals import POINT_STEPS
from ..units import count, number
from .sparkline import sparkline
from .tables import console, shown, status_of

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Where curves are compared: shares of the samples of the shortest run."""

Row = tuple[str, list[str]]
Curve = list[tuple[int, float, float]]
"""Samples seen, loss and gradient norm, in order."""


def comparison(history: RunHistory, runs: Sequence[Run]) -> dict[str, Any]:
    """What the runs differ in, their outcomes, and their curves at equal samples."""
    configs = [flatten(run.config) for run in runs]
    fields = [flatten(run.key_fields) for run in runs]
    last = min(run.samples_seen for run in runs)
    samples = [max(1, round(share * last)) for share in SHARES] if last else []
    lines = [_curve_of(history, run) for run in runs]
    curves = [
        {
            "samples": at,
            "loss": [_before(line, at, 0) for line in lines],
            "grad_norm": [_before(line, at, 1) for line in lines],
        }
        for at in samples
    ]
    metrics = list(dict.fromkeys(s.metric for run in runs for s in run.scores))
    return {
        "runs": [run.id for run in runs],
        "config": {
            key: [config.get(key) for config in configs]
            for key in varied_keys([run.config for run in runs])
        },
        "comparable": len({run.key for run in runs}) == 1,
        "key_fields": {
            key: [one.get(key) for one in fields]
            for key in varied_keys([run.key_fields for run in runs])
        },
        "scores": {m: [_value(run, m) for run in runs] for m in metrics},
        "curves": curves if any(lines) else [],
    }


def print_comparison(history: RunHistory, runs: Sequence[Run]) -> None:
    """Print the comparison as tables, one column a run."""
    found, out = comparison(history, runs), console()
    settings = [
        (escape(key), [shown(v, 30) for v in values])
        for key, values in found["config"].items()
    ]
    out.print(_table("settings that differ", runs, settings or [("none", [])]))
    if not found["comparable"]:
        names = ", ".join(found["key_fields"]) or "unknown fields"
        out.print(
            f"\nThe runs have different comparability keys: they differ in "
            f"{escape(names)}, so their losses and norms may not be comparable."
        )
    out.print()
    out.print(_table("outcome", runs, list(_outcome(runs, found))))
    if found["curves"]:
        out.print()
        out.print(_table("loss after samples", runs, _curve_rows(found, "loss")))
        out.print()
        norms = _curve_rows(found, "grad_norm")
        out.print(_table("gradient norm after samples", runs, norms))
    if "utf" in out.encoding.lower():
        out.print()
        out.print(_table("curves", runs, list(_lines(history, runs))))


def _curve_of(history: RunHistory, run: Run) -> Curve:
    """Samples, loss and norm: of each step in the trace, else of the history."""
    try:
        steps = read_trace(run.trace_path).observations if run.trace_path else ()
    except TraceError:
        steps = ()
    found = steps or history.points(run.id)
    return [(step.samples_seen, step.loss, step.grad_norm) for step in found]


def _before(curve: Curve, samples: int, which: int) -> float | None:
    """The mean over the last steps before a number of samples; None without any."""
    end = bisect_right(curve, samples, key=lambda point: point[0])
    values = [point[1 + which] for point in curve[max(0, end - POINT_STEPS) : end]]
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else None


def _value(run: Run, metric: str) -> float | None:
    score = run.score(metric)
    return None if score is None else score.value


def _outcome(runs: Sequence[Run], found: dict[str, Any]) -> Iterator[Row]:
    yield "status", [status_of(run) for run in runs]
    for metric, values in found["scores"].items():
        yield escape(metric), [number(value) for value in values]
    yield "steps", [f"{count(run.step)} of {count(run.max_steps)}" for run in runs]
    yield "samples", [count(run.samples_seen) for run in runs]
    if any(run.reason for run in runs):
        yield "reason", [escape(run.reason or "-") for run in runs]


def _curve_rows(found: dict[str, Any], signal: str) -> list[Row]:
    return [
        (count(one["samples"]), [number(value) for value in one[signal]])
        for one in found["curves"]
    ]


def _lines(history: RunHistory, runs: Sequence[Run]) -> Iterator[Row]:
    curves = [_curve_of(history, run) for run in runs]
    for name, which in (("loss", 1), ("gradient norm", 2)):
        yield name, [sparkline([p[which] for p in own], 18) for own in curves]


def _table(title: str, runs: Sequence[Run], rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(title, style="bold", overflow="fold")
    names = [run.name for run in runs]
    for run in runs:
        same = names.count(run.name) > 1
        table.add_column(escape(run.id if same else run.name), overflow="fold")
    for name, cells in rows:
        table.add_row(name, *cells)
    return table
