"""What the history knows of a run: frozen values."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psutil

Status = Literal["running", "finished", "terminated", "failed"]
Goal = Literal["max", "min"]

SILENT_AFTER_S = 900.0
"""A run on another host counts as dead after this long without a heartbeat."""


@dataclass(frozen=True)
class Score:
    """A run's result on one metric."""

    metric: str
    value: float
    goal: Goal
    base_value: float | None = None
    """The same metric of the model before the first step."""


@dataclass(frozen=True)
class Decision:
    """What a rule decided, and why."""

    rule: str
    action: str
    """`warn` or `stop`."""
    reason: str
    step: int
    samples_seen: int
    figures: dict[str, Any] = field(default_factory=dict)
    reference: str | None = None


@dataclass(frozen=True)
class Run:
    """One run as the history knows it. Times are seconds since 1970, UTC."""

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
    """What it was trained on: the card's name, or `cpu`."""
    step_s: float | None = None
    """Mean seconds of an optimizer step, without evaluations and saves."""
    scores: tuple[Score, ...] = ()
    decisions: tuple[Decision, ...] = ()

    @property
    def shown_status(self) -> str:
        """The status, with `dead` for a run that says it runs and does not.

        On this host the process is looked up by its id and start time; elsewhere a
        run is dead after `SILENT_AFTER_S` without a heartbeat.
        """
        return "dead" if self.status == "running" and not self._alive else self.status

    @property
    def _alive(self) -> bool:
        return is_alive(
            self.hostname, self.process_id, self.process_started_at, self.heartbeat_at
        )

    @property
    def steps_saved(self) -> int:
        """Optimizer steps that were not taken because the run was stopped."""
        stopped = self.status == "terminated"
        return max(0, self.max_steps - self.step) if stopped else 0

    @property
    def samples_per_s(self) -> float | None:
        """Samples a second over all ranks while it trained; None if unknown."""
        if not self.step_s or not self.step:
            return None
        return self.samples_seen / self.step / self.step_s

    def score(self, metric: str | None = None) -> Score | None:
        """The score on a metric, or the first one recorded."""
        found = [s for s in self.scores if metric is None or s.metric == metric]
        return found[0] if found else None


def best_shared_metric(runs: Iterable[Run]) -> str | None:
    """The metric that most runs share; None where no run has a score."""
    return shared_metric([run.scores for run in runs])


def shared_metric(scores: Iterable[Sequence[Score]]) -> str | None:
    """The metric that most runs share, from the scores of each run."""
    metrics = [
        score.metric
        for of_run in scores
        for score in of_run
        if not math.isnan(score.value)
    ]
    # A score that somebody chose to record is worth more than the evaluation loss.
    return max(
        sorted(set(metrics)),
        key=lambda metric: (metrics.count(metric), metric != "eval_loss"),
        default=None,
    )


def shared_scores(scores: Mapping[str, Sequence[Score]]) -> dict[str, float]:
    """By run id, the score on the metric that most runs share; higher is better."""
    shared = shared_metric(scores.values())
    return {
        run_id: score.value if score.goal == "max" else -score.value
        for run_id, of_run in scores.items()
        for score in of_run
        if score.metric == shared and not math.isnan(score.value)
    }


def is_alive(
    hostname: str, process_id: int, process_started_at: float, heartbeat_at: float
) -> bool:
    """Whether a process lives; one on another host by when it was last heard of."""
    if hostname != socket.gethostname():
        return time.time() - heartbeat_at < SILENT_AFTER_S
    try:
        process = psutil.Process(process_id)
        started, state = process.create_time(), process.status()
    except psutil.Error:
        return False
    # A killed child that its parent has not asked after is a zombie.
    same = abs(started - process_started_at) < 2.0
    return same and state != psutil.STATUS_ZOMBIE


def this_process() -> dict[str, Any]:
    """What tells this process from all others: host name, id and start time."""
    process = psutil.Process()
    return {
        "hostname": socket.gethostname(),
        "process_id": process.pid,
        "process_started_at": process.create_time(),
    }
