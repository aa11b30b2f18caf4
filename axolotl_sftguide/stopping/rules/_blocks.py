"""A curve of any length in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ...signals.autocorrelation import noise_of

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

_HIGHEST = 0.9
"""A stretch of a curve falls while it lasts; more correlation than this is its fall."""


def standard_error(*stretches: Sequence[float]) -> float:
    """The standard error of the mean of the last of some stretches of a curve.

    Each stretch has its own mean, and all have the same noise, which may be correlated.
    """
    noise = noise_of(*stretches, highest=_HIGHEST)
    return math.sqrt(noise.variance_of_mean(len(stretches[-1])))
