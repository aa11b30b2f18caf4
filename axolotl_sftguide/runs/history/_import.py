"""Writes a run to the history from its trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from ...errors import TraceError
from ...signals import point_steps, points_of
from ..traces import NAME_EVENT, TAGS_EVENT, Trace
from ._curves import add_points
from ._records import Decision, Score
from ._write import (
    add_decision,
    add_score,
    attached_at,
    begin_run,
    delete_traced,
    set_tags,
    update_run,
)

_REQUIRED = frozenset(
    "id name study key key_fields comparable host config output_dir hostname "
    "process_id process_started_at started_at max_steps".split()
)


def write_trace(connection: sa.Connection, trace: Trace) -> str:
    """Write what a trace holds of its run, and return the run's id.

    Scores that were attached to the run stay, unless the trace holds a later one.

    Raises:
        TraceError: If the trace lacks a required field.
    """
    try:
        return _write(connection, trace)
    except (KeyError, TypeError) as error:
        raise TraceError(
            f"{trace.path}: the trace is incomplete ({error}). Nothing was imported"
        ) from None


def _write(connection: sa.Connection, trace: Trace) -> str:
    run_id = str(trace.run["id"])
    delete_traced(connection, run_id)
    # Never a path that the trace names: scores are appended to that file.
    no_trace = "trace_path" in trace.run and trace.run["trace_path"] is None
    path = None if no_trace else str(trace.path.resolve())
    unknown = {"device": None, "step_s": None}
    row = {**unknown, **trace.run, **_renamed(trace), "trace_path": path}
    missing = sorted(_REQUIRED - row.keys())
    if missing:
        raise KeyError(", ".join(missing))
    begin_run(connection, row)
    written_at = trace.path.stat().st_mtime
    update_run(connection, run_id, heartbeat_at=written_at, **_progress(trace))
    attached = attached_at(connection, run_id)
    for event in trace.events:
        if event["event"] == "decision":
            add_decision(connection, run_id, Decision(**_fields(Decision, event)))
        elif event["event"] == "score":
            score, at = Score(**_fields(Score, event)), float(event.get("at") or 0.0)
            if at >= attached.get(score.metric, 0.0):
                add_score(connection, run_id, score, at)
        elif event["event"] == TAGS_EVENT and isinstance(event.get("tags"), list):
            set_tags(connection, run_id, map(str, event["tags"]))
    every = point_steps(row["max_steps"])
    add_points(connection, run_id, points_of(trace.observations, every))
    end = trace.end
    if end is not None:
        update_run(
            connection,
            run_id,
            status=end["status"],
            reason=end.get("reason"),
            ended_at=end["at"],
            step_s=end.get("step_s"),
        )
    return run_id


def _renamed(trace: Trace) -> dict[str, str]:
    """The name that the run was given after it was last started."""
    name = None
    for event in trace.events:
        if event["event"] in (NAME_EVENT, "resume"):
            name = event.get("to") if event["event"] == NAME_EVENT else None
    return {"name": name} if isinstance(name, str) and name else {}


def _progress(trace: Trace) -> dict[str, Any]:
    step = int(trace.run.get("step", 0))  # a trainer state knows more than its logs
    if not trace.observations:
        return {"step": step}
    last = trace.observations[-1]
    comparable = bool(trace.run.get("comparable", True))
    return {
        "step": max(step, last.step),
        "samples_seen": last.samples_seen,
        "loss": last.loss,
        "grad_norm": last.grad_norm,
        "comparable": comparable and all(o.measured for o in trace.observations),
    }


def _fields(kind: type[Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record that an event has; a later version may write more."""
    names = kind.__dataclass_fields__
    return {k: _number(v) for k, v in event.items() if k in names}


def _number(value: Any) -> Any:
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value
