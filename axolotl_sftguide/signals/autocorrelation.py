"""Standard errors of means over consecutive steps, whose values may be correlated.

Neighbouring steps are often alike, above all where batches are, and the mean of `n`
correlated values varies more than that of `n` independent ones. The correlation is
that of a first-order autoregression with coefficient `r`: values `k` steps apart
correlate by `r^k`. It is estimated by its moments, with the expectations that they have
in stretches of finite length, so that short stretches do not bias it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import fmean

from .. import students_t

_HIGHEST = 0.97
"""Coefficients above it cannot be told from a trend."""

_FEWEST = 10
"""With fewer degrees of freedom nothing is known of the correlation: it counts as 0."""


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of consecutive steps."""

    variance: float = math.inf
    """Of a single step."""
    coefficient: float = 0.0
    """Of the autoregression; at least 0."""
    freedom: float = 1.0
    """Degrees of freedom of the variance of a mean that is derived from it."""

    def variance_of_mean(self, steps: int) -> float:
        """The variance of the mean over so many consecutive steps."""
        return self.variance * _mean_factor(self.coefficient, steps) / steps

    def limit(self, sigmas: float, steps: int) -> float:
        """`sigmas` standard errors of a mean, widened for an error that is estimated.

        Noise alone exceeds it as often as a normal variable exceeds `sigmas`.
        """
        error = math.sqrt(self.variance_of_mean(steps))
        return students_t.as_rare_as(sigmas, self.freedom) * error


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over stretches of `length` steps, each around its own mean.

    A stretch has its own mean so that a trend over many of them is not taken for noise.
    """

    length: int
    squares: float = 0.0
    products: float = 0.0
    """Of neighbours."""
    weight: float = 0.0
    squared_weight: float = 0.0

    def add(self, values: Sequence[float], kept: float = 1.0) -> Moments:
        """The moments with one more stretch.

        Args:
            values: The stretch.
            kept: The weight that earlier stretches keep.
        """
        mean = fmean(values)
        above = [v - mean for v in values]
        return Moments(
            self.length,
            kept * self.squares + math.fsum(a * a for a in above),
            kept * self.products + math.fsum(a * b for a, b in pairwise(above)),
            kept * self.weight + 1.0,
            kept**2 * self.squared_weight + 1.0,
        )

    def noise(self) -> Noise:
        """The noise with these moments; infinite without a stretch."""
        if not self.weight:
            return Noise()
        stretches = self.weight**2 / self.squared_weight
        freedom = stretches * (self.length - 1)
        squares, products = self.squares / self.weight, self.products / self.weight
        return _noise(squares, products, (self.length,), freedom)


def noise_of(*stretches: Sequence[float], highest: float = _HIGHEST) -> Noise:
    """The noise of stretches of values, each around its own mean.

    Infinite if no stretch has two values.

    Args:
        stretches: The values.
        highest: The largest coefficient of an autoregression that is believed.
    """
    long = [values for values in stretches if len(values) > 1]
    if not long:
        return Noise()
    each = [Moments(len(values)).add(values) for values in long]
    squares = math.fsum(m.squares for m in each)
    products = math.fsum(m.products for m in each)
    lengths = tuple(m.length for m in each)
    freedom = sum(lengths) - len(lengths)
    return _noise(squares, products, lengths, freedom, highest)


def _noise(
    squares: float,
    products: float,
    lengths: tuple[int, ...],
    freedom: float,
    highest: float = _HIGHEST,
) -> Noise:
    """The noise for which the sums over stretches of these lengths are expected.

    Args:
        squares: The sum of squares around the means of the stretches.
        products: The sum of products of neighbours.
        lengths: The lengths of the stretches.
        freedom: Degrees of freedom of the squares if the values were independent.
        highest: The largest coefficient.
    """
    few = freedom < _FEWEST or not squares
    coefficient = 0.0 if few else _coefficient(products / squares, lengths, highest)
    variance = squares / _expected(coefficient, lengths)[0]
    # The logarithm of a mean's variance has about the variance 2 / freedom. It is
    # the sum of two parts: the variance of the innovations, and (1 - r)^-2.
    loss = 1 + 2 * (1 + coefficient) / (1 - coefficient)
    return Noise(variance, coefficient, max(1.0, freedom / loss))


@lru_cache(maxsize=256)
def _mean_factor(coefficient: float, steps: int) -> float:
    """`steps` times the variance of their mean, over the variance of a step."""
    r, n = coefficient, steps
    return (1 + r) / (1 - r) - 2 * r * (1 - r**n) / (n * (1 - r) ** 2)


def _moments(coefficient: float, length: int) -> tuple[float, float]:
    """The expected sums of squares and of products in a stretch of unit variance."""
    r, n = coefficient, length
    factor = _mean_factor(r, n)
    with_an_end = (1 - r**n) / (n * (1 - r))
    products = (n - 1) * r - (n + 1) / n * factor + 2 * with_an_end
    return n - factor, products


def _expected(coefficient: float, lengths: Sequence[int]) -> tuple[float, float]:
    """The same over several stretches."""
    each = [_moments(coefficient, length) for length in lengths]
    return sum(m[0] for m in each), sum(m[1] for m in each)


def _coefficient(ratio: float, lengths: Sequence[int], highest: float) -> float:
    """The coefficient with which products over squares are expected to be `ratio`."""
    low, high = 0.0, highest
    for _ in range(20):
        middle = (low + high) / 2
        squares, products = _expected(middle, lengths)
        if products < ratio * squares:
            low = middle
        else:
            high = middle
    return low
