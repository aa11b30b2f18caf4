"""One observation per optimizer step, and what a window of them logs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """One optimizer step as the monitor saw it."""

    step: int
    """The optimizer step, counted from 1."""
    samples_seen: int
    """Training samples seen so far, over all ranks (packed or not)."""
    loss: float
    """The step's loss, as the host sums it over the accumulated micro batches."""
    grad_norm: float
    """Global L2 norm of the gradients before clipping; NaN if nobody knows it."""
    learning_rate: float
    """The learning rate that this step was taken with."""
    trained_tokens: int | None = None
    """Tokens of this step that carry a label, over all ranks; None if unknown."""
    grad_noise: float | None = None
    """The noise in the squared norm (noise_scale.py); None where not measured."""
    measured: bool = True
    """False where the norm is the host's logged one, not captured at the clip."""
    samples_counted: bool = True
    """False where the samples are epoch x dataset size, not counted from batches."""

    @property
    def finite(self) -> bool:
        """Whether the loss is finite, and the gradient norm where it was measured."""
        return math.isfinite(self.loss) and (
            math.isfinite(self.grad_norm) or not self.measured
        )


def window_logs(window: Sequence[Observation]) -> dict[str, float]:
    """What one logging window publishes, keyed as in the host's logs.

    Means and maxima are over the finite norms; the last norm is as it is.
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
