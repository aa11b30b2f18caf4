"""Recorded runs replayed under a stopping policy: steps saved and score lost.

Runs arrive one after the other. A policy sees what it would see live: the steps of the
run so far, and the earlier runs that it did not stop, with their scores.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..config.settings import EarlyTerminationSettings
from ..signals import Point
from ..signals.comparability import Candidate
from ..signals.correlation import Correlation, spearman
from .baselines import RecordedRun, RecordedRuns, baselines
from .judge import judge_of


class Policy(Protocol):
    """Decides at which step each run of a sequence is stopped."""

    @property
    def name(self) -> str:
        """The name in tables."""
        ...

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        """Start a sequence; the result takes each run and the runs kept before it."""
        ...


@dataclass(frozen=True)
class RulesPolicy:
    """The rules of this package."""

    name: str
    settings: EarlyTerminationSettings

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        """The policy keeps no state between runs."""
        return self._stopped_at

    def _stopped_at(self, run: RecordedRun, kept: Sequence[RecordedRun]) -> int | None:
        candidate = Candidate(study="", key="", without=run.id)
        compared = baselines(candidate, RecordedRuns(kept), self.settings)
        judge = judge_of(self.settings, compared, max_steps=run.steps)
        state = judge.init()
        for observation in run.observations:
            state, findings = judge.step(state, [observation])
            if any(finding.action == "stop" for finding in findings):
                return observation.step
        return None


@dataclass(frozen=True)
class Backtest:
    """One policy over many orders of arrival; numbers are means over the orders."""

    policy: str
    orders: int
    stopped: float
    """The share of runs that were stopped."""
    steps_saved: float
    """The share of all optimizer steps that stopping saved."""
    best_kept: float
    """The share of orders in which the best run was not stopped."""
    regret: float
    """The best score of all runs minus the best score of those kept."""


@dataclass(frozen=True)
class SignalEvidence:
    """The correlation of one early signal with the final score."""

    signal: str
    at: float
    """The share of the shortest run at which the signal was read."""
    correlation: Correlation | None


def replay(runs: Sequence[RecordedRun], policy: Policy) -> dict[str, int]:
    """The step at which each stopped run was stopped, for one order of arrival."""
    stopped_at = policy.begin()
    kept: list[RecordedRun] = []
    stopped: dict[str, int] = {}
    for run in runs:
        step = stopped_at(run, kept)
        if step is None or step >= run.steps:
            kept.append(run)
        else:
            stopped[run.id] = step
    return stopped


def backtest(
    runs: Sequence[RecordedRun], policy: Policy, *, orders: int, seed: int = 0
) -> Backtest:
    """A policy over random orders of arrival, starting with the recorded one.

    If the runs have at most `orders` orders, each is replayed once.
    """
    best = max(runs, key=lambda run: run.score)
    total = sum(run.steps for run in runs)
    stopped = saved = best_kept = regret = 0.0
    arrivals = _orders(runs, orders, seed)
    for order in arrivals:
        found = replay(order, policy)
        stopped += len(found) / len(runs)
        saved += sum(r.steps - found[r.id] for r in runs if r.id in found) / total
        best_kept += best.id not in found
        left = [run.score for run in runs if run.id not in found]
        regret += best.score - max(left, default=-math.inf) if left else math.inf
    count = len(arrivals)
    return Backtest(
        policy.name,
        count,
        stopped / count,
        saved / count,
        best_kept / count,
        regret / count,
    )


def _orders(
    runs: Sequence[RecordedRun], orders: int, seed: int
) -> list[Sequence[RecordedRun]]:
    if math.factorial(len(runs)) <= orders:
        return list(itertools.permutations(runs))
    draw = random.Random(seed)
    return [runs, *(draw.sample(list(runs), len(runs)) for _ in range(orders - 1))]


def signal_evidence(
    runs: Sequence[RecordedRun], at: Iterable[float] = (0.1, 0.25, 0.5)
) -> list[SignalEvidence]:
    """Each early signal's correlation with the score, at shares of the shortest run."""
    curves = [run.curve.points for run in runs]
    scores = [run.score for run in runs]
    last = min((c[-1].samples_seen for c in curves if c), default=0)
    found = []
    for share in at:
        read = [_read(curve, share * last) for curve in curves]
        for signal in ("grad_norm", "loss"):
            pairs = [
                (getattr(point, signal), score)
                for point, score in zip(read, scores, strict=True)
                if point is not None
            ]
            correlation = spearman([p[0] for p in pairs], [p[1] for p in pairs])
            found.append(SignalEvidence(signal, share, correlation))
    return found


def _read(curve: Sequence[Point], samples_seen: float) -> Point | None:
    """The last point up to a number of samples."""
    before = [point for point in curve if point.samples_seen <= samples_seen]
    return before[-1] if before else (curve[0] if curve else None)
