"""One run while it trains: its trace, or else what the run history has of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import StorageError, TraceError
from ..signals import Observation, Point
from .following import TraceFollower
from .history import Decision, Run, RunHistory
from .traces import Trace

HISTORY_EVERY_S = 2.0
"""Seconds between two reads of the run history."""

MOST_EARLIER = 12
"""Earlier runs whose curves are read."""

_DECISION_FIELDS = tuple(Decision.__dataclass_fields__)


@dataclass(frozen=True)
class LiveRun:
    """A run as it is now."""

    run: Run
    steps: Sequence[Observation | Point]
    """Its optimizer steps; where its trace is not here, the points of its curve."""
    decisions: Sequence[Decision]
    evaluation: dict[str, float]
    """The last value of each metric of the host's evaluations."""
    step: int
    samples_seen: int
    learning_rate: float | None
    fault: str | None = None
    """Why the values may be out of date."""

    @property
    def ended(self) -> bool:
        """Whether the run has ended, or its process is gone."""
        return self.run.shown_status != "running"

    @property
    def step_s(self) -> float | None:
        """Mean seconds of an optimizer step; None before there is a figure."""
        if self.run.step_s or not self.step:
            return self.run.step_s
        return (self.run.heartbeat_at - self.run.started_at) / self.step or None

    @property
    def left_s(self) -> float | None:
        """Seconds until the last step at this pace, without evaluations and saves."""
        if self.step_s is None or not self.run.max_steps:
            return None
        return max(0, self.run.max_steps - self.step) * self.step_s


class LiveReader:
    """Reads one run again and again; it only reads.

    Args:
        history: The run history.
        run: The run as the history has it now.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        history: RunHistory,
        run: Run,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history = history
        self._run = run
        self._clock = clock
        self._points: list[Point] = []
        self._looked_at: float | None = None
        self._fault: str | None = None
        self._follower = TraceFollower(run.trace_path) if run.trace_path else None

    def read(self) -> LiveRun:
        """The run as it is now."""
        trace = self._read_trace()
        now, last = self._clock(), self._looked_at
        if last is None or now - last >= HISTORY_EVERY_S:
            self._looked_at = now
            self._look_into_history(with_points=trace is None)
        if trace is None:
            return self._from_history()
        return self._from_trace(trace)

    def _read_trace(self) -> Trace | None:
        try:
            trace = self._follower.read() if self._follower else None
        except TraceError as error:
            self._fault, self._follower = str(error), None
            return None
        # A folder that was used again may hold the trace of another run.
        return trace if trace and trace.run.get("id") == self._run.id else None

    def _look_into_history(self, *, with_points: bool) -> None:
        try:
            self._run = self._history.get(self._run.id, study=self._run.study)
            if with_points:
                self._points = self._history.points(self._run.id)
            self._fault = None
        except StorageError as error:
            self._fault = str(error)

    def _from_history(self) -> LiveRun:
        run = self._run
        return LiveRun(
            run, self._points, run.decisions, {}, run.step, run.samples_seen, None,
            self._fault,
        )  # fmt: skip

    def _from_trace(self, trace: Trace) -> LiveRun:
        run, end = self._run, trace.end
        # The trace is written at once, the history by a thread behind it.
        if end is not None and run.status == "running":
            run = replace(
                run,
                status=end.get("status", "finished"),
                reason=end.get("reason"),
                ended_at=end.get("at"),
            )
        last = trace.observations[-1] if trace.observations else None
        if last is not None:
            run = replace(run, step=last.step, samples_seen=last.samples_seen)
        return LiveRun(
            run,
            trace.observations,
            [_decision(e) for e in trace.events if e["event"] == "decision"],
            _last_evaluation(trace),
            last.step if last else 0,
            last.samples_seen if last else 0,
            last.learning_rate if last else None,
            self._fault,
        )


@dataclass(frozen=True)
class Earlier:
    """The curve of a run that started before the one that is watched."""

    run: Run
    points: Sequence[Point]


def earlier_runs(
    history: RunHistory, run: Run, most: int = MOST_EARLIER
) -> tuple[list[Earlier], int]:
    """The newest earlier runs to compare a run with, and how many there are in all.

    They belong to its study, or have its base model and data.
    """
    found = [
        other
        for other in history.runs(with_config=False)
        if other.started_at < run.started_at and _alike(other, run)
    ]
    shown = [Earlier(one, history.points(one.id)) for one in found[-most:]]
    return [one for one in shown if one.points], len(found)


def _alike(other: Run, run: Run) -> bool:
    if other.study == run.study:
        return True
    fields = ("base_model", "data")
    same = [run.key_fields.get(f) == other.key_fields.get(f) for f in fields]
    return all(same) and all(run.key_fields.get(f) for f in fields)


def _decision(event: dict[str, Any]) -> Decision:
    known = {k: event[k] for k in _DECISION_FIELDS if k in event}
    blank = {"rule": "?", "action": "warn", "reason": "", "step": 0, "samples_seen": 0}
    return Decision(**{**blank, **known})


def _last_evaluation(trace: Trace) -> dict[str, float]:
    found: dict[str, float] = {}
    for event in trace.events:
        metrics = event.get("metrics") if event["event"] == "evaluation" else None
        if isinstance(metrics, dict):
            found.update({k: float(v) for k, v in metrics.items()})
    return found
