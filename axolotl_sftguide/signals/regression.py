"""A straight line through a few points, and what it says of the next one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from .. import students_t

LEAST_POINTS = 4
"""Two points more than a line has parameters."""


@dataclass(frozen=True, slots=True)
class Line:
    """An ordinary least-squares line `y = mean_y + slope (x - mean_x)`."""

    slope: float
    mean_x: float
    mean_y: float
    squares_x: float
    """Sum of squared distances of the x from their mean."""
    error: float
    """Standard deviation of the points around the line."""
    points: int
    """Independent ones."""

    @classmethod
    def fit(
        cls, xs: Sequence[float], ys: Sequence[float], independent: int | None = None
    ) -> Line | None:
        """The line; None for fewer than `LEAST_POINTS` points or if all x are equal.

        Args:
            xs: Where the points are.
            ys: Their values.
            independent: How many of them are independent, if not all are: what is
                stated of a new point is then as unsure as with so many points.
        """
        n, k = len(xs), len(xs) if independent is None else independent
        if k < LEAST_POINTS:
            return None
        mean_x, mean_y = fmean(xs), fmean(ys)
        squares = math.fsum((x - mean_x) ** 2 for x in xs)
        if squares <= 1e-12 * max(1.0, mean_x**2):
            return None
        pairs = zip(xs, ys, strict=True)
        slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in pairs) / squares
        left = math.fsum(
            (y - mean_y - slope * (x - mean_x)) ** 2
            for x, y in zip(xs, ys, strict=True)
        )
        error = math.sqrt(left * k / n / (k - 2))
        return cls(slope, mean_x, mean_y, squares * k / n, error, k)

    def at(self, x: float) -> float:
        """The value on the line."""
        return self.mean_y + self.slope * (x - self.mean_x)

    def interval(self, x: float) -> tuple[float, float]:
        """The 95% prediction interval of one new point."""
        half = students_t.quantile(0.025, self.points - 2) * self._error_at(x)
        return self.at(x) - half, self.at(x) + half

    def chance_above(self, x: float, y: float) -> float:
        """The probability that a new point at `x` lies above `y`."""
        error = self._error_at(x)
        if error == 0:
            return float(self.at(x) > y)
        return students_t.tail((y - self.at(x)) / error, self.points - 2)

    def _error_at(self, x: float) -> float:
        spread = (x - self.mean_x) ** 2 / self.squares_x
        return self.error * math.sqrt(1 + 1 / self.points + spread)
