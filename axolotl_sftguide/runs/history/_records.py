"""Runs, scores and decisions as frozen values."""

from __future__ import annotations

import math
import socket
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psutil

Status = Literal["running", "finished", "terminated", "parked", "failed"]
"""How a run ended; `parked`: with a checkpoint from which its sweep may resume it."""

_SHOWN_ACTIONS = {
    "warn": "warning",
    "park": "parked",
    "resume": "resumed",
    "stop": "stopped",
}

Goal = Literal["max", "min"]
Origin = Literal["run", "attached"]

SILENT_AFTER_S = 900.0
"""A run on another host counts as dead after this many seconds without a heartbeat."""


@dataclass(frozen=True)
class Score:
    """A run's result on one metric."""

    metric: str
    value: float
    goal: Goal
    base_value: float | None = None
    """The model's result before the first step."""
    origin: Origin = "run"
    """`run` if the run recorded it, `attached` if it was added afterwards."""
    examples: int | None = None
    """How many held-out examples it is a mean over; None if that is not known."""


@dataclass(frozen=True)
class Decision:
    """A rule's decision and its reason."""

    rule: str
    action: str
    """`warn`, `park`, `resume` or `stop`."""
    reason: str
    step: int
    samples_seen: int
    figures: dict[str, Any] = field(default_factory=dict)
    reference: str | None = None
    signals: tuple[str, ...] = ()
    """The signal that it is about, as in `Verdict`; empty if none was recorded."""

    def __post_init__(self) -> None:
        # A trace and the history have a list, or nothing from before version 6.
        object.__setattr__(self, "signals", tuple(self.signals or ()))

    @property
    def shown_action(self) -> str:
        """The action as a word for people, such as `warning` or `stopped`."""
        return _SHOWN_ACTIONS.get(self.action, self.action)


@dataclass(frozen=True)
class Run:
    """One run in the history. Times are seconds since 1970, UTC."""

    id: str
    name: str
    study: str
    key: str
    key_fields: dict[str, Any]
    comparable: bool
    host: str
    config: dict[str, Any]
    status: Status
    reason: str | None
    output_dir: str
    trace_path: str | None
    hostname: str
    process_id: int
    process_started_at: float
    started_at: float
    heartbeat_at: float
    ended_at: float | None
    step: int
    max_steps: int
    samples_seen: int
    loss: float | None
    grad_norm: float | None
    device: str | None = None
    """The name of the GPU it was trained on, or `cpu`."""
    step_s: float | None = None
    """Mean seconds per optimizer step, without evaluations and saves."""
    scores: tuple[Score, ...] = ()
    decisions: tuple[Decision, ...] = ()
    tags: tuple[str, ...] = ()
    """Words that a user gave to the run, in alphabetical order."""

    @property
    def shown_status(self) -> str:
        """The status; `dead` if it is recorded as running but its process is gone.

        On this host the process is looked up by its id and start time. A run on
        another host is dead after `SILENT_AFTER_S` without a heartbeat.
        """
        return "dead" if self.status == "running" and not self._alive else self.status

    @property
    def _alive(self) -> bool:
        return is_alive(
            self.hostname, self.process_id, self.process_started_at, self.heartbeat_at
        )

    @property
    def steps_saved(self) -> int:
        """Optimizer steps that stopping the run saved; so far, if it is parked."""
        stopped = self.status in ("terminated", "parked")
        return max(0, self.max_steps - self.step) if stopped else 0

    @property
    def samples_per_s(self) -> float | None:
        """Samples per second over all ranks while it trained; None if unknown."""
        if not self.step_s or not self.step:
            return None
        return self.samples_seen / self.step / self.step_s

    @property
    def named_metric(self) -> str | None:
        """The metric that its settings name (`early_termination.metric`), if any."""
        value: Any = self.config
        for key in ("sftguide", "early_termination", "metric"):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) else None

    def score(self, metric: str | None = None) -> Score | None:
        """The score on a metric, or the first one recorded."""
        found = [s for s in self.scores if metric is None or s.metric == metric]
        return found[0] if found else None


def best_shared_metric(runs: Iterable[Run]) -> str | None:
    """The metric that most finished runs share; None if no run has a score.

    Runs that did not finish count only where no run did: what a stopped run has is
    often an evaluation on the way.
    """
    runs = list(runs)
    finished = [run.scores for run in runs if run.status == "finished"]
    return shared_metric(finished) or shared_metric(run.scores for run in runs)


def shared_metric(scores: Iterable[Sequence[Score]]) -> str | None:
    """The metric that most runs share, from the scores of each run."""
    metrics = Counter(
        score.metric
        for of_run in scores
        for score in of_run
        if not math.isnan(score.value)
    )
    # On a tie, an explicitly recorded score is preferred to the evaluation loss.
    return max(
        sorted(metrics),
        key=lambda metric: (metrics[metric], metric != "eval_loss"),
        default=None,
    )


def scores_on(
    metric: str | None, scores: Mapping[str, Sequence[Score]]
) -> dict[str, float]:
    """By run id, the score on a metric; higher is better."""
    return {
        run_id: score.value if score.goal == "max" else -score.value
        for run_id, of_run in scores.items()
        for score in of_run
        if score.metric == metric and not math.isnan(score.value)
    }


def is_alive(
    hostname: str, process_id: int, process_started_at: float, heartbeat_at: float
) -> bool:
    """Whether a process is alive; on another host, whether its heartbeat is recent.

    The system tells when a process started by the clock of now. Where the clock was set
    meanwhile, the process is known by a recent heartbeat after its start: another
    process with its id would have started after the last heartbeat.
    """
    if hostname != socket.gethostname():
        return time.time() - heartbeat_at < SILENT_AFTER_S
    try:
        process = psutil.Process(process_id)
        started, state = process.create_time(), process.status()
    except psutil.Error:
        return False
    # A killed child is a zombie until its parent waits for it.
    same = abs(started - process_started_at) < 2.0
    recent = abs(time.time() - heartbeat_at) < SILENT_AFTER_S
    same = same or (recent and started < heartbeat_at)
    return same and state != psutil.STATUS_ZOMBIE


def this_process() -> dict[str, Any]:
    """The host name, id and start time that identify this process."""
    process = psutil.Process()
    return {
        "hostname": socket.gethostname(),
        "process_id": process.pid,
        "process_started_at": process.create_time(),
    }
