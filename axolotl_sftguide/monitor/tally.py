"""Samples of a run's optimizer steps, averaged in one pass."""

from __future__ import annotations

import math


class Tally:
    """Mean and spread of the samples of a run's steps, in one pass."""

    def __init__(self) -> None:
        self.steps = 0
        self.mean = 0.0
        self._squares = 0.0

    def add(self, samples: float) -> None:
        """Count one more step (Welford's update)."""
        self.steps += 1
        off = samples - self.mean
        self.mean += off / self.steps
        self._squares += off * (samples - self.mean)

    @property
    def deviation(self) -> float:
        """The standard deviation over the steps."""
        return math.sqrt(self._squares / self.steps) if self.steps else 0.0

    def __str__(self) -> str:
        return f"{self.mean:.1f} samples per step (sd {self.deviation:.1f})"
