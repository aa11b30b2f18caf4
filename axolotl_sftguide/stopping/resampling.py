"""How sure a backtest is: intervals by resampling the settings of its runs.

Many orders of arrival of the same runs are not more data, and neither are repeats of a
setting with another seed. So whole settings are drawn with replacement, and the
replays are read again as if a study had only had the drawn ones.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from ..students_t import quantile
from .baselines import RecordedRun

LEAST_SETTINGS = 5
"""Fewer settings give no interval."""

_DRAWS = 1000
_Z_95 = NormalDist().inv_cdf(0.975)

Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """95% intervals of the means over the orders."""

    steps_saved: Interval
    best_kept: Interval
    regret: Interval


def by_setting(runs: Sequence[RecordedRun]) -> dict[str, list[RecordedRun]]:
    """The runs of each setting; a run without a setting is one of its own."""
    found: dict[str, list[RecordedRun]] = defaultdict(list)
    for run in runs:
        found[run.setting or run.id].append(run)
    return dict(found)


def seed_deviation(runs: Sequence[RecordedRun]) -> float | None:
    """The standard deviation of the score over repeats; None without any repeat."""
    squares, freedom = 0.0, 0
    for repeats in by_setting(runs).values():
        mean = fmean(run.score for run in repeats)
        squares += math.fsum((run.score - mean) ** 2 for run in repeats)
        freedom += len(repeats) - 1
    return math.sqrt(squares / freedom) if freedom else None


@dataclass(frozen=True)
class _Replays:
    """The outcomes of all orders, with the runs from the best to the worst."""

    scores: Sequence[float]
    kept: Sequence[int]
    """For each order a bit for each run that was kept, the lowest for the best run."""

    def read(self, drawn: int) -> tuple[float, float]:
        """How often the best of the drawn runs was kept, and the mean regret."""
        best = _lowest(drawn)
        best_kept, regret = 0, 0.0
        for kept in self.kept:
            left = kept & drawn
            first = _lowest(left) if left else drawn.bit_length() - 1
            best_kept += bool(left) and first == best
            regret += self.scores[best] - self.scores[first]
        return best_kept / len(self.kept), regret / len(self.kept)


def intervals(
    runs: Sequence[RecordedRun], outcomes: Sequence[Mapping[str, int]], seed: int = 0
) -> Intervals | None:
    """Intervals from replays; None with fewer than `LEAST_SETTINGS` settings.

    Args:
        runs: The runs of the study.
        outcomes: For each order, the step at which each stopped run was stopped.
        seed: Seed of the draws.
    """
    ranked = sorted(runs, key=lambda run: -run.score)
    bit = {run.id: 1 << place for place, run in enumerate(ranked)}
    replays = _Replays(
        [run.score for run in ranked],
        [sum(bit[run.id] for run in ranked if run.id not in o) for o in outcomes],
    )
    saved = {
        run.id: fmean(run.steps - o.get(run.id, run.steps) for o in outcomes)
        for run in runs
    }
    settings = [
        (
            sum(bit[run.id] for run in repeats),
            math.fsum(saved[run.id] for run in repeats),
            sum(run.steps for run in repeats),
        )
        for repeats in by_setting(runs).values()
    ]
    if len(settings) < LEAST_SETTINGS:
        return None
    draw = random.Random(seed)
    found: list[tuple[float, float, float]] = []
    for _ in range(_DRAWS):
        drawn = draw.choices(settings, k=len(settings))
        some = 0
        for bits, _, _ in drawn:
            some |= bits
        share = math.fsum(s for _, s, _ in drawn) / sum(n for *_, n in drawn)
        found.append((share, *replays.read(some)))
    steps_saved, best_kept, regret = (
        _middle(values, len(settings)) for values in zip(*found, strict=True)
    )
    best_kept = _widened(best_kept, replays.read(sum(bit.values()))[0], len(settings))
    gap = ranked[0].score - ranked[1].score
    high = max(regret[1], gap * (1 - best_kept[0]))
    return Intervals(steps_saved, best_kept, (regret[0], high))


def _lowest(bits: int) -> int:
    """The place of the lowest bit that is set."""
    return (bits & -bits).bit_length() - 1


def _middle(values: Sequence[float], settings: int) -> Interval:
    """The middle 95% of resampled values, widened for few settings as by Student."""
    ordered = sorted(values)
    wider = math.sqrt(settings / (settings - 1))
    tail = NormalDist().cdf(-quantile(0.025, settings - 1) * wider)
    at = round(tail * len(ordered))
    return ordered[at], ordered[-1 - at]


def _widened(found: Interval, share: float, settings: int) -> Interval:
    """The interval of a share, at least Wilson's over so many settings.

    Where the best run was kept in all orders, resampling finds no other outcome.
    """
    z2 = _Z_95**2
    centre = (share + z2 / 2 / settings) / (1 + z2 / settings)
    spread = share * (1 - share) / settings + z2 / 4 / settings**2
    half = _Z_95 * math.sqrt(spread) / (1 + z2 / settings)
    return max(0.0, min(found[0], centre - half)), min(
        1.0, max(found[1], centre + half)
    )
