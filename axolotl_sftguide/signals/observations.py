"""One observation per optimizer step, and the logs of a window of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def window_logs(window: Sequence[Observation]) -> dict[str, float]:
    """The `sftguide/...` logs of one logging window.

    Mean and maximum are over the finite norms; the last norm may be NaN.
    """
    if not window:
        return {}
    finite = [o.grad_norm for o in window if math.isfinite(o.grad_norm)]
    logs: dict[str, float] = {
        "sftguide/grad_norm_last": window[-1].grad_norm,
        "sftguide/nonfinite_steps": sum(not o.finite for o in window),
        "sftguide/samples_seen": window[-1].samples_seen,
    }
    if finite:
        logs["sftguide/grad_norm_mean"] = math.fsum(finite) / len(finite)
        logs["sftguide/grad_norm_max"] = max(finite)
    return logs
