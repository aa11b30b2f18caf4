"""A loss or gradient norm that stays NaN or infinite."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...signals import Observation
from ...units import number
from ._base import Verdict


@dataclass(frozen=True, slots=True)
class NonFinite:
    """Non-finite loss or norm on `steps` consecutive optimizer steps.

    A single such step is normal under fp16 loss scaling; weights that contain a NaN
    never recover. The state is the length of the current streak.
    """

    steps: int
    name: str = "non_finite"

    def init(self) -> int:
        """No streak."""
        return 0

    def step(self, state: int, observation: Observation) -> tuple[int, Verdict | None]:
        """Extend the streak, or end it."""
        streak = 0 if observation.finite else state + 1
        if streak < self.steps:
            return streak, None
        return streak, Verdict(
            rule=self.name,
            reason=(
                f"{streak} consecutive steps with a non-finite loss or gradient norm; "
                f"the last had loss {number(observation.loss)} and gradient norm "
                f"{number(observation.grad_norm)}"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=observation.step - streak + 1,
            figures={"streak": streak},
            signals=_signals(observation),
        )


def _signals(last: Observation) -> tuple[str, ...]:
    both = (("loss", last.loss), ("grad_norm", last.grad_norm))
    return tuple(name for name, value in both if not math.isfinite(value))
