"""A straight line through a few points, and what it says of the next one.

Student's t is summed in closed form for whole degrees of freedom (Abramowitz and Stegun
1964, 26.7.3 and 26.7.4): runs are judged while they train, where SciPy may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

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
        half = student_quantile(0.975, self.points - 2) * self._error_at(x)
        return self.at(x) - half, self.at(x) + half

    def chance_above(self, x: float, y: float) -> float:
        """The probability that a new point at `x` lies above `y`."""
        error = self._error_at(x)
        if error == 0:
            return float(self.at(x) > y)
        return student_tail((y - self.at(x)) / error, self.points - 2)

    def _error_at(self, x: float) -> float:
        spread = (x - self.mean_x) ** 2 / self.squares_x
        return self.error * math.sqrt(1 + 1 / self.points + spread)


def student_tail(t: float, freedom: int) -> float:
    """The probability that Student's t is above `t`."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    if freedom == 1:
        inside = 2 * angle / math.pi
    elif freedom % 2:
        term = total = cosine
        for i in range(3, freedom - 1, 2):
            term *= cosine**2 * (i - 1) / i
            total += term
        inside = 2 / math.pi * (angle + sine * total)
    else:
        term = total = 1.0
        for i in range(2, freedom - 1, 2):
            term *= cosine**2 * (i - 1) / i
            total += term
        inside = sine * total
    return (1 - inside) / 2


def student_quantile(share: float, freedom: int) -> float:
    """The value that Student's t is below with a probability of 0.5 to 1."""
    low, high = 0.0, 1.0
    while student_tail(high, freedom) > 1 - share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if student_tail(middle, freedom) > 1 - share:
            low = middle
        else:
            high = middle
    return (low + high) / 2
