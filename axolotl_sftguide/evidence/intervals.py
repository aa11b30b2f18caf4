"""Estimates with 95% intervals by resampling whole settings.

Runs of one base model, one data set or one submission are not independent, so an
interval resamples these clusters, never single runs. With two factors that cross, such
as base models and data sets, both are resampled (the pigeonhole bootstrap of Owen,
2007). Percentiles are widened for few clusters to the width of Student's t (Hesterberg,
2015, "expanded percentile interval"). The standard library suffices.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, StatisticsError, correlation, fmean
from typing import TypeVar

from ..students_t import quantile

T = TypeVar("T")

RESAMPLES = 4000
SEED = 42
LEAST_CLUSTERS = 5
"""With fewer clusters there is no interval, and no verdict."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95% interval, and what the interval rests on."""

    value: float
    low: float
    high: float
    count: int
    """Number of pairs or runs."""
    clusters: int
    """Number of independent clusters; of the factor that has the fewest."""


def resampled(
    cells: Sequence[tuple[tuple[str, ...], T]],
    statistic: Callable[[Sequence[T]], float],
) -> Estimate | None:
    """A statistic of values that lie in clusters.

    Args:
        cells: Each value with its cluster in each factor, for example
            `(("Qwen2.5-7B", "ultrachat"), 0.3)`; with one factor, clusters may hold
            several values.
        statistic: What to estimate from the values.

    Returns:
        None if a factor has fewer than five clusters.
    """
    factors = list(zip(*(key for key, _ in cells), strict=True))
    levels = [sorted(set(factor)) for factor in factors]
    fewest = min((len(level) for level in levels), default=0)
    if fewest < LEAST_CLUSTERS:
        return None
    draw = random.Random(SEED)
    found: list[float] = []
    for _ in range(RESAMPLES):
        counts = [_counts(level, draw) for level in levels]
        sample: list[T] = []
        for key, value in cells:
            times = 1
            for count, level in zip(counts, key, strict=True):
                times *= count.get(level, 0)
            sample += [value] * times
        _append(found, statistic, sample)
    return _estimate(statistic([v for _, v in cells]), found, len(cells), fewest)


def difference(
    one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]
) -> Estimate | None:
    """The mean of one group of clusters minus that of another, which are not paired.

    Each cluster counts once, however many runs it has.
    """
    fewest = min(len(one), len(other))
    if fewest < LEAST_CLUSTERS:
        return None
    draw = random.Random(SEED)
    sides = [[fmean(values) for values in side.values()] for side in (one, other)]
    found = []
    for _ in range(RESAMPLES):
        mean, base = (fmean(draw.choices(side, k=len(side))) for side in sides)
        found.append(mean - base)
    value = fmean(sides[0]) - fmean(sides[1])
    count = sum(len(values) for side in (one, other) for values in side.values())
    return _estimate(value, found, count, fewest)


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's correlation.

    Raises:
        StatisticsError: If one side is constant.
    """
    one, two = zip(*pairs, strict=True)
    return correlation(_ranks(one), _ranks(two))


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return fmean(values)


def _counts(levels: Sequence[str], draw: random.Random) -> dict[str, int]:
    counts: dict[str, int] = {}
    for level in draw.choices(levels, k=len(levels)):
        counts[level] = counts.get(level, 0) + 1
    return counts


def _append(
    found: list[float], statistic: Callable[[Sequence[T]], float], sample: Sequence[T]
) -> None:
    """Add the statistic of a sample; one without any, such as an empty one, is left."""
    try:
        found.append(statistic(sample))
    except (StatisticsError, ValueError):
        return


def _estimate(
    value: float, found: list[float], count: int, clusters: int
) -> Estimate | None:
    if len(found) < RESAMPLES / 2:
        return None
    ordered = sorted(found)
    degrees = clusters - 1
    tail = NormalDist().cdf(-quantile(0.025, degrees) * (clusters / degrees) ** 0.5)
    at = min(round(tail * len(ordered)), len(ordered) // 2)
    return Estimate(value, ordered[at], ordered[-1 - at], count, clusters)


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of their ranks."""
    ordered = sorted(values)
    first = {value: i for i, value in reversed(list(enumerate(ordered, 1)))}
    last = {value: i for i, value in enumerate(ordered, 1)}
    return [(first[value] + last[value]) / 2 for value in values]
