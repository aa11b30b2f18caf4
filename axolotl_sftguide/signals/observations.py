"""One observation per optimizer step, and the logs of a window of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """The measurements of one optimizer step."""

    step: int
    """The optimizer step, counted from 1."""
    samples_seen: int
    """Training samples seen so far, over all ranks; each sample in a pack counts."""
    loss: float
    """The step's loss, as the trainer sums it over the accumulated micro batches."""
    grad_norm: float
    """Global L2 norm of the gradients before clipping; NaN if unknown."""
    learning_rate: float
    """The learning rate of this step."""
    trained_tokens: int | None = None
    """Tokens of this step with a label, over all ranks; None if unknown."""
    grad_noise: float | None = None
    """The noise in the squared norm (noise_scale.py); None if not measured."""
    measured: bool = True
    """False if the norm is the one the trainer logs, not captured at clipping."""
    samples_counted: bool = True
    """False if the samples are unknown: they are then epoch x dataset size, or 0."""
    skipped: bool = False
    """Whether the fp16 loss scaler skipped this step to lower its scale."""

    @property
    def finite(self) -> bool:
        """Whether the loss is finite, and the gradient norm too if it was measured.

        An overflow that only lowered the loss scale is not a non-finite step.
        """
        return math.isfinite(self.loss) and (
            math.isfinite(self.grad_norm) or self.skipped or not self.measured
        )

    @property
    def comparable(self) -> bool:
        """Whether the step can be held against other runs at the same samples."""
        known = self.measured and self.samples_counted
        return known and math.isfinite(self.loss) and math.isfinite(self.grad_norm)


class LogWindow:
    """The steps since the last log, in memory that does not grow with them.

    A host may log every step, or never.
    """

    def __init__(self) -> None:
        self._last: Observation | None = None
        self._nonfinite = 0
        self._count = 0
        self._largest = -math.inf
        self._sum: list[float] = []
        """The exact sum of the finite norms, as floats that do not overlap."""

    def add(self, observations: Iterable[Observation]) -> None:
        """Add some steps."""
        for one in observations:
            self._last = one
            self._nonfinite += not one.finite
            if math.isfinite(one.grad_norm):
                self._count += 1
                self._largest = max(self._largest, one.grad_norm)
                _add_exactly(self._sum, one.grad_norm)

    def logs(self) -> dict[str, float]:
        """The `sftguide/...` logs; none without a step.

        Mean and maximum are over the finite norms; the last norm may be NaN.
        """
        if self._last is None:
            return {}
        logs: dict[str, float] = {
            "sftguide/grad_norm_last": self._last.grad_norm,
            "sftguide/nonfinite_steps": self._nonfinite,
            "sftguide/samples_seen": self._last.samples_seen,
        }
        if self._count:
            logs["sftguide/grad_norm_mean"] = math.fsum(self._sum) / self._count
            logs["sftguide/grad_norm_max"] = self._largest
        return logs


def window_logs(window: Iterable[Observation]) -> dict[str, float]:
    """The `sftguide/...` logs of one logging window; see `LogWindow`."""
    steps = LogWindow()
    steps.add(window)
    return steps.logs()


def _add_exactly(parts: list[float], value: float) -> None:
    """Add to a sum of floats without rounding, as `math.fsum` does (Shewchuk 1997)."""
    kept = 0
    for part in parts:
        if abs(value) < abs(part):
            value, part = part, value
        high = value + part
        low = part - (high - value)
        if low:
            parts[kept] = low
            kept += 1
        value = high
    parts[kept:] = [value]
