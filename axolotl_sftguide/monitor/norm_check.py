"""Whether the gradient norm that the host reports is the norm of its gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .readout import CapturedStep

NORM_TOLERANCE = 0.01
"""Largest relative difference between the captured and the independent norm."""


@dataclass(frozen=True, slots=True)
class NormResult:
    """The captured norm of a step over the independent one; None if unverified."""

    step: int
    ratio: float | None
    right: bool | None


class NormCheck:
    """Compares the first norms of a run with a second computation."""

    def __init__(self) -> None:
        self.trusted = True
        """False once a norm was wrong."""
        self._checked = False

    def check(self, step: CapturedStep) -> NormResult | None:
        """The result for a step; None if it adds nothing to earlier results."""
        first, self._checked = not self._checked, True
        if step.independent_norm is None or step.grad_norm is None:
            return NormResult(step.step, None, None) if first else None
        ratio = _ratio(step.grad_norm, step.independent_norm)
        right = abs(ratio - 1) <= NORM_TOLERANCE
        self.trusted = self.trusted and right
        return NormResult(step.step, ratio, right)


def _ratio(one: float, two: float) -> float:
    if not (math.isfinite(one) and math.isfinite(two)):
        return 1.0 if math.isfinite(one) == math.isfinite(two) else math.inf
    return one / two if two else (1.0 if one == 0 else math.inf)
