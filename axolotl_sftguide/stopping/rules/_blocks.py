"""A curve of any length in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

_MOST = 128
"""With more blocks, neighbours are merged."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Means of blocks of equal width, in order; the width doubles as a run grows."""

    means: tuple[float, ...] = ()
    width: int = 1
    """Values per block."""
    open: tuple[float, int] = (0.0, 0)
    """Sum and number of the values of the block that is not full."""

    @property
    def count(self) -> int:
        """All values, those of the open block included."""
        return len(self.means) * self.width + self.open[1]

    def add(self, value: float) -> Blocks:
        """The blocks after one more value."""
        total, count = self.open[0] + value, self.open[1] + 1
        if count < self.width:
            return Blocks(self.means, self.width, (total, count))
        means = (*self.means, total / count)
        if len(means) < _MOST:
            return Blocks(means, self.width)
        merged = tuple(
            fmean(pair) for pair in zip(means[::2], means[1::2], strict=True)
        )
        return Blocks(merged, 2 * self.width)

    def last(self, values: int) -> tuple[float, ...]:
        """The blocks that hold the last so many values, at least one of them."""
        return self.means[-max(1, math.ceil(values / self.width)) :]


NO_BLOCKS = Blocks()

_FEWEST_PAIRS = 10
"""Fewer values say nothing about their correlation."""


def standard_error(*stretches: Sequence[float]) -> float:
    """The standard error of the mean of the last of some stretches of a curve.

    Each stretch has its own mean, and all have the same noise. Neighbouring values may
    be correlated: the error is that of independent values, scaled up for a first-order
    autoregression by `(1 + r) / (1 - r)`. The estimate of `r` is corrected for its
    bias in short series, about `-(1 + 4 r) / n`.
    """
    squares = products = 0.0
    count = 0
    for values in stretches:
        mean = fmean(values)
        above = [v - mean for v in values]
        squares += math.fsum(a * a for a in above)
        products += math.fsum(a * b for a, b in pairwise(above))
        count += len(values) - 1
    if count < 1:
        return math.inf
    variance = squares / count / len(stretches[-1])
    if count < _FEWEST_PAIRS or not squares:
        return math.sqrt(variance)
    n = count + len(stretches)
    r = (n * products / squares + len(stretches)) / (n - 4 * len(stretches))
    r = min(0.9, max(0.0, r))
    return math.sqrt(variance * (1 + r) / (1 - r))
