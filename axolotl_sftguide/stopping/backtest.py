"""Recorded runs replayed under a stopping policy: steps saved and score lost.

Runs arrive one after the other. A policy sees what it would see live: the steps of the
run so far, and the earlier runs that it did not stop, with their scores.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Protocol, runtime_checkable

from ..config.rule_settings import EarlyTerminationSettings
from ..signals import Point
from ..signals.correlation import Correlation, spearman
from .baselines import (
    Baselines,
    RecordedRun,
    RecordedRuns,
    baselines,
    forecast_of,
)
from .judge import ALONE, ON_EARLY_SIGNALS, Judge, actions_of, rules_of
from .resampling import Intervals, by_setting, intervals, seed_deviation
from .rules import Rule

_APPLIED_EVERY = 16
"""A live run applies its rules at least every so many steps, and stops no later."""


class Policy(Protocol):
    """Decides at which step each run of a sequence is stopped."""

    @property
    def name(self) -> str:
        """The name in tables."""
        ...

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        """Start a sequence; the result takes each run and the runs kept before it."""
        ...


@runtime_checkable
class WholePolicy(Protocol):
    """Decides at which step each run is left, with the whole sequence in view."""

    @property
    def name(self) -> str:
        """The name in tables."""
        ...

    def replay(self, runs: Sequence[RecordedRun]) -> dict[str, int]:
        """The step at which each run was left, of those that were not finished."""
        ...


@dataclass(frozen=True)
class RulesPolicy:
    """The rules of this package.

    Only those that may stop a run are replayed, and those that look at a run alone only
    once for each run, because the order of arrival does not matter to them.
    """

    name: str
    settings: EarlyTerminationSettings
    _alone: dict[str, tuple[RecordedRun, int | None]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        """The policy keeps no state between runs."""
        return self._stopped_at

    def _stopped_at(self, run: RecordedRun, kept: Sequence[RecordedRun]) -> int | None:
        known, alone = self._alone.get(run.id, (None, None))
        if known is not run:
            rules = rules_of(self.settings, Baselines(), max_steps=run.steps)
            alone = _first_stop(run, rules)
            self._alone[run.id] = run, alone
        compared = self._compared(run, kept)
        rules = rules_of(self.settings, compared, max_steps=run.steps)
        others = [(rule, action) for rule, action in rules if rule.name not in ALONE]
        found = (alone, _first_stop(run, others))
        return min((step for step in found if step is not None), default=None)

    def _compared(self, run: RecordedRun, kept: Sequence[RecordedRun]) -> Baselines:
        """What the rules that may stop a run compare it with."""
        actions, curves = actions_of(self.settings), RecordedRuns(kept)
        if "stop" in (actions[name] for name in ON_EARLY_SIGNALS):
            return baselines(run.candidate, curves, self.settings)
        if actions["prediction"] == "stop":
            return Baselines(forecast=forecast_of(run.candidate, curves))
        return Baselines()


def _first_stop(run: RecordedRun, rules: Sequence[tuple[Rule, str]]) -> int | None:
    """The step at which one of the rules stops a run, as a live run would."""
    judge = Judge(tuple((rule, action) for rule, action in rules if action == "stop"))
    if not judge.rules:
        return None
    state = judge.init()
    for observation in run.observations:
        state, findings = judge.step(state, [observation])
        if any(finding.action == "stop" for finding in findings):
            return math.ceil(observation.step / _APPLIED_EVERY) * _APPLIED_EVERY
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
    """The best score of all runs minus the best score of those kept, or minus the worst
    score where none was kept."""
    none_kept: float = 0.0
    """The share of orders in which all runs were stopped."""
    settings: int = 0
    """The number of settings; runs that differ in the seed only have one setting."""
    intervals: Intervals | None = None
    """95% intervals of the means; None with too few settings."""
    seed_deviation: float | None = None
    """The standard deviation of the score over repeats; None without any repeat."""
    near_best_kept: float | None = None
    """The share of orders that kept a run within that deviation of the best score."""


@dataclass(frozen=True)
class SignalEvidence:
    """The correlation of one early signal with the final score."""

    signal: str
    at: float
    """The share of the shortest run at which the signal was read."""
    correlation: Correlation | None


def replay(runs: Sequence[RecordedRun], policy: Policy | WholePolicy) -> dict[str, int]:
    """The step at which each stopped run was stopped, for one order of arrival."""
    if isinstance(policy, WholePolicy):
        return policy.replay(runs)
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
    runs: Sequence[RecordedRun],
    policy: Policy | WholePolicy,
    *,
    orders: int,
    seed: int = 0,
) -> Backtest:
    """A policy over random orders of arrival, starting with the recorded one.

    If the runs have at most `orders` orders, each is replayed once.
    """
    best = max(run.score for run in runs)
    worst = min(run.score for run in runs)
    first = max(runs, key=lambda run: run.score).id
    total = sum(run.steps for run in runs)
    found = [replay(order, policy) for order in _orders(runs, orders, seed)]
    left = [max((r.score for r in runs if r.id not in o), default=None) for o in found]
    lost = [best - (worst if score is None else score) for score in left]
    deviation = seed_deviation(runs)
    near = [score is not None and best - score <= (deviation or 0.0) for score in left]
    return Backtest(
        policy.name,
        len(found),
        fmean(len(o) / len(runs) for o in found),
        fmean(sum(r.steps - o.get(r.id, r.steps) for r in runs) / total for o in found),
        fmean(first not in o for o in found),
        fmean(lost),
        fmean(score is None for score in left),
        len(by_setting(runs)),
        intervals(runs, found, seed),
        deviation,
        None if deviation is None else fmean(near),
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
    """Each early signal's correlation with the score, at shares of the shortest run.

    Repeats of a setting are one pair of means: they are not independent.
    """
    last = min(
        (r.curve.points[-1].samples_seen for r in runs if r.curve.points), default=0
    )
    found = []
    for share in at:
        read = [
            ([p for p in points if p is not None], fmean(r.score for r in repeats))
            for repeats in by_setting(runs).values()
            for points in [[_read(r.curve.points, share * last) for r in repeats]]
        ]
        for signal in ("grad_norm", "loss"):
            pairs = [
                (fmean(getattr(point, signal) for point in points), score)
                for points, score in read
                if points
            ]
            correlation = spearman([p[0] for p in pairs], [p[1] for p in pairs])
            found.append(SignalEvidence(signal, share, correlation))
    return found


def _read(curve: Sequence[Point], samples_seen: float) -> Point | None:
    """The last point up to a number of samples."""
    before = [point for point in curve if point.samples_seen <= samples_seen]
    return before[-1] if before else (curve[0] if curve else None)
