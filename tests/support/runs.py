"""Runs, traces and histories made by hand, with no host."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from axolotl_sftguide.runs.history import this_process
from axolotl_sftguide.runs.traces import TraceWriter, trace_path
from axolotl_sftguide.signals import Observation


def run_row(run_id: str = "r1", **overrides: Any) -> dict[str, Any]:
    """What a host says of a run, as the trace's first line holds it."""
    return {
        "id": run_id,
        "name": f"name-{run_id}",
        "study": "s",
        "key": "k",
        "key_fields": {"effective_batch_size": 8},
        "comparable": True,
        "host": "trl",
        "config": {"learning_rate": 5e-4},
        "output_dir": "/out",
        "max_steps": 100,
        "started_at": time.time(),
        **this_process(),
        **overrides,
    }


def steps(last: int, first: int = 1, loss: float = 2.0) -> list[Observation]:
    return [
        Observation(i, 8 * i, loss / i, 0.5 + 0.1 * (i % 3), 5e-4, trained_tokens=64)
        for i in range(first, last + 1)
    ]


def write_trace(
    folder: Path,
    run_id: str = "r1",
    last: int = 10,
    *,
    end: str | None = "finished",
    **overrides: Any,
) -> Path:
    """A whole trace, with one score, in a folder."""
    row = run_row(run_id, output_dir=str(folder), **overrides)
    writer = TraceWriter(trace_path(folder, run_id))
    writer.begin(row)
    writer.steps(steps(last))
    writer.event("score", metric="m", value=0.5, goal="max", base_value=0.1)
    if end is not None:
        writer.event("end", status=end, reason=None, at=row["started_at"] + 60.0)
    writer.close()
    return writer.path
