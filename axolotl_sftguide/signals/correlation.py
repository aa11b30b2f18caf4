"""Rank correlation, with an honest interval (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_PAIRS = 5
"""Fewer pairs say nothing of a correlation."""

_Z_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation and its 95% interval."""

    value: float
    low: float
    high: float
    pairs: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def spearman(one: Sequence[float], two: Sequence[float]) -> Correlation | None:
    """The correlation of the ranks; None for few pairs or a constant side.

    The interval is Fisher's, with the variance of Bonett and Wright (2000) for ranks:
    `(1 + r^2 / 2) / (n - 3)`.
    """
    n = len(one)
    if n < LEAST_PAIRS:
        return None
    value = _pearson(_ranks(one), _ranks(two))
    if value is None:
        return None
    if abs(value) > 1 - 1e-12:
        value = math.copysign(1.0, value)
        least = math.tanh(_Z_95 * math.sqrt(1.5 / (n - 3)))
        ends = sorted((value, math.copysign(1 - least, value)))
        return Correlation(value, ends[0], ends[1], n)
    half = _Z_95 * math.sqrt((1 + value**2 / 2) / (n - 3))
    centre = math.atanh(value)
    return Correlation(value, math.tanh(centre - half), math.tanh(centre + half), n)


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
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


def _pearson(one: Sequence[float], two: Sequence[float]) -> float | None:
    n = len(one)
    a, b = math.fsum(one) / n, math.fsum(two) / n
    products = math.fsum((x - a) * (y - b) for x, y in zip(one, two, strict=True))
    squares = math.fsum((x - a) ** 2 for x in one) * math.fsum(
        (y - b) ** 2 for y in two
    )
    return products / math.sqrt(squares) if squares > 0 else None
