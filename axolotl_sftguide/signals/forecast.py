"""The final score of a run, predicted from its loss by earlier runs of the study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from .curves import Point
from .regression import LEAST_POINTS, Line

LOOKS = tuple(round(0.05 * i, 2) for i in range(3, 14))
"""The shares of a run at which it is judged: every 5% from 15% to 65%."""

WINDOW = 0.08
"""The loss is the mean over this last share of the run."""

_ROUNDING = 1e-3
"""Four of six runs are two thirds: 0.3333 for a third is meant as the fraction."""

_SAME_SCALE = 1.5
"""A larger gap between the first losses of runs is another scale of the loss."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A finished, scored run."""

    id: str
    score: float
    """Higher is better."""
    first: float
    """Its first loss, before the run has learned much."""
    losses: tuple[float, ...]
    """Its loss at each of `LOOKS`; NaN if it has none there."""
    setting: str = ""
    """What it shares with its repeats; a run without a setting has none."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the earlier runs say of the score of one run, at one look."""

    share: float
    score: float
    """The predicted score; higher is better."""
    low: float
    high: float
    """The ends of its 95% prediction interval."""
    chance: float
    """The probability that it beats the best earlier run."""
    best: float
    """The score of the best earlier run."""
    runs: int
    """Earlier runs that the prediction rests on."""
    settings: int
    """Their settings. Repeats of one, with other seeds, are not independent."""
    lower_is_better: bool
    """Whether runs with a lower loss scored better; else the loss predicts nothing."""
    rank: float
    """The share of the earlier runs with a lower loss."""
    loss: float
    """The run's own loss."""

    def in_worst(self, share: float) -> bool:
        """Whether the loss is among this share of the earlier runs' highest losses."""
        return in_worst(self.rank, share)


def in_worst(rank: float, share: float) -> bool:
    """Whether a run is among the worst share of some runs.

    Args:
        rank: The share of the runs that are better, such as 4 / 6.
        share: Such as 1 / 3, or the same with a few decimals.
    """
    return rank >= 1 - share - _ROUNDING


@dataclass(frozen=True)
class Forecast:
    """Earlier runs of the same base and data, by which a run's score is predicted."""

    runs: tuple[EarlierRun, ...]
    metric: str = "score"
    sign: float = 1.0
    """-1 if lower scores are better: scores are negated throughout."""

    def outlook(self, look: int, loss: float, first: float) -> Outlook | None:
        """The prediction at a look, from the run's loss there and its first loss.

        Scores are regressed on the logarithm of the loss, or on the loss itself where
        any is not positive. Runs whose first losses are on another scale are left out.

        Returns:
            None if the earlier runs that can be compared have fewer than
            `LEAST_POINTS` settings.
        """
        there = [run for run in self.runs if math.isfinite(run.losses[look])]
        peers = _of_same_scale(there, first)
        settings = len({run.setting or run.id for run in peers})
        if settings < LEAST_POINTS or not math.isfinite(loss):
            return None
        losses = [run.losses[look] for run in peers]
        scores = [run.score for run in peers]
        logs = min(loss, *losses) > 0
        xs = [math.log(v) for v in losses] if logs else losses
        line = Line.fit(xs, scores, settings)
        if line is None:
            return None
        x = math.log(loss) if logs else loss
        low, high = line.interval(x)
        return Outlook(
            share=LOOKS[look],
            score=line.at(x),
            low=low,
            high=high,
            chance=line.chance_above(x, max(scores)),
            best=max(scores),
            runs=len(peers),
            settings=settings,
            lower_is_better=line.slope < 0,
            rank=fmean(other < loss for other in losses),
            loss=loss,
        )


def earlier_run(
    run_id: str, score: float, points: Sequence[Point], setting: str = ""
) -> EarlierRun:
    """A finished run with its loss at each look, from its curve."""
    total = points[-1].samples_seen if points else 0
    losses = tuple(_loss_at(points, look, total) for look in LOOKS)
    first = points[0].loss if points else math.nan
    return EarlierRun(run_id, score, first, losses, setting)


def _loss_at(points: Sequence[Point], share: float, total: int) -> float:
    if len(points) * WINDOW < 1:
        return _between(points, (share - WINDOW / 2) * total)
    inside = [
        point.loss
        for point in points
        if (share - WINDOW) * total < point.samples_seen <= share * total
    ]
    if not inside:
        before = [point for point in points if point.samples_seen <= share * total]
        inside = [before[-1].loss] if before else []
    return fmean(inside) if inside else math.nan


def _between(points: Sequence[Point], samples: float) -> float:
    """The loss on straight lines between the middles of points; NaN outside of them.

    The few points of a short run are means over more of it than `WINDOW`: the last one
    before a look is then the loss of a much earlier step.
    """
    ends = [0, *(point.samples_seen for point in points)]
    middles = [(start + end) / 2 for start, end in pairwise(ends)]
    for i, (left, right) in enumerate(pairwise(middles)):
        if left <= samples <= right:
            along = (samples - left) / (right - left) if right > left else 0.0
            return points[i].loss + along * (points[i + 1].loss - points[i].loss)
    return math.nan


def _of_same_scale(runs: Sequence[EarlierRun], first: float) -> list[EarlierRun]:
    """The runs that a chain of similar first losses connects with this one.

    Trainers that reduce the loss differently over accumulation or ranks log it several
    times too high or too low; a difference of the learning rate leaves no such gap.
    """
    if not first > 0:
        return list(runs)
    low = high = first
    firsts = sorted(run.first for run in runs if run.first > 0)
    for value in firsts:
        if high < value <= high * _SAME_SCALE:
            high = value
    for value in reversed(firsts):
        if low > value >= low / _SAME_SCALE:
            low = value
    return [run for run in runs if not run.first > 0 or low <= run.first <= high]
