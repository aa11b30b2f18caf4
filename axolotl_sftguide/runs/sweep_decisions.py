"""What a sweep decides about a run whose training has ended with a checkpoint.

The trace gets it first, so that the history can be rebuilt from it.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict
from typing import Any

from .history import Decision, Run, RunHistory
from .traces import Trace, TraceWriter, read_trace


def record_decision(history: RunHistory, trace: Trace, decision: Decision) -> None:
    """Record a decision in the trace of a run and in the history, once."""
    _append(trace, decision)
    history.import_trace(read_trace(trace.path))


def stop_for_good(history: RunHistory, trace: Trace, decision: Decision) -> Run:
    """Record that a parked run is not resumed, and return the run."""
    reason = f"{decision.rule}: {decision.reason}"
    end = {"status": "terminated", "reason": reason}
    if trace.end is None or trace.end["status"] == "parked":
        _append(trace, decision, **end)
    return history.import_trace(read_trace(trace.path))


def _append(trace: Trace, decision: Decision, **end: Any) -> None:
    same = [asdict(decision)[name] for name in ("rule", "action", "step")]
    known = [
        [event.get(name) for name in ("rule", "action", "step")]
        for event in trace.events
        if event["event"] == "decision"
    ]
    with closing(TraceWriter(trace.path)) as writer:
        if same not in known:
            writer.event("decision", **asdict(decision))
        if end:
            step_s = (trace.end or {}).get("step_s")
            writer.event("end", **end, at=time.time(), step_s=step_s)
