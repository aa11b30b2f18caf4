"""A loss or gradient norm that stays NaN or infinite."""

from __future__ import annotations

from dataclasses import dataclass

from ...signals import Observation
from ...units import number
from ._base import Verdict


@dataclass(frozen=True, slots=True)
class NonFinite:
    """Non-finite loss or norm on `steps` consecutive optimizer steps.

    A single such step is an ordinary event under fp16 loss scaling; weights that
    hold a NaN never recover. The state is the length of the current streak.
    """

    steps: int
    name: str = "non_finite"

    def init(self) -> int:
        """No streak."""
        return 0

    def step(self, state: int, observation: Observation) -> tuple[int, Verdict | None]:
        """Lengthen the streak, or end it."""
        streak = 0 if observation.finite else state + 1
        if streak < self.steps:
            return streak, None
        return streak, Verdict(
            rule=self.name,
            reason=(
                f"loss {number(observation.loss)} and gradient norm "
                f"{number(observation.grad_norm)} after {streak} consecutive "
                "non-finite steps"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=observation.step - streak + 1,
            figures={"streak": streak},
        )
