"""Spearman's rank correlation with a confidence interval.

The standard library suffices. SciPy's `spearmanr` has no interval, and its permutation
test gives a p-value only. A bootstrap of six pairs covers far less than it states near
a correlation of 1, where it has no width; docs/evidence.md has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, StatisticsError, correlation

LEAST_PAIRS = 5
"""Fewer pairs give no correlation."""

_Z_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation and its 95% interval."""

    value: float
    low: float
    high: float
    pairs: int

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def spearman(one: Sequence[float], two: Sequence[float]) -> Correlation | None:
    """The correlation of the ranks; None for few pairs or if one side is constant.

    The interval is Fisher's, with the variance of Bonett and Wright (2000) for ranks:
    `(1 + r^2 / 2) / (n - 3)`. Around 1 it would have no width. The largest correlation
    below 1 that `n` pairs can have is `1 - 12 / (n^3 - n)`, and 1 stands for all true
    values that are nearer to it than to that: it is read as the one halfway between.
    So the interval of a higher correlation is never lower.
    """
    n = len(one)
    if n < LEAST_PAIRS:
        return None
    try:
        value = correlation(_ranks(one), _ranks(two))
    except StatisticsError:
        return None
    if abs(value) > 1 - 1e-12:
        value = math.copysign(1.0, value)
    most = 1 - 6 / (n**3 - n)
    centre = math.atanh(min(most, max(-most, value)))
    half = _Z_95 * math.sqrt((1 + value**2 / 2) / (n - 3))
    low, high = math.tanh(centre - half), math.tanh(centre + half)
    return Correlation(
        value, -1.0 if value == -1 else low, 1.0 if value == 1 else high, n
    )


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2 + 1
        start = end + 1
    return ranks
