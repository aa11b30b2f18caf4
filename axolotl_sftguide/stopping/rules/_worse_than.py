"""Higher norm and lower loss than a reference run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...signals import Curve, CurvePoint, Observation
from ...units import number
from ._base import Verdict
from ._window import Window


@dataclass(frozen=True, slots=True)
class WorseThan:
    """Higher norm AND lower loss than the reference at the same samples seen.

    Both signals are averaged over `window` steps (arXiv 2412.13337, section 4: lower
    early gradient norm and higher early loss go with better final scores; it gives no
    threshold). Each difference must exceed `sigmas` standard errors and `margin` of
    the reference, so that the reference's twin with another seed passes.
    """

    reference: Curve
    window: int
    sigmas: float
    margin: float
    name: str = "comparison"

    def init(self) -> Window:
        """Nothing seen."""
        return Window()

    def step(
        self, state: Window, observation: Observation
    ) -> tuple[Window, Verdict | None]:
        """Compare the last window with the reference's."""
        state = state.see(observation, self.window)
        ours = state.point(observation, self.window)
        theirs = self.reference.at(observation.samples_seen, self.window)
        if ours is None or theirs is None or not self._is_worse(ours, theirs):
            return state, None
        return state, Verdict(
            rule=self.name,
            reason=(
                f"gradient norm {number(ours.grad_norm)} above "
                f"{number(theirs.grad_norm)} and loss {number(ours.loss)} below "
                f"{number(theirs.loss)} of run {self.reference.run_id} at the same "
                f"samples{self._batch_note()}"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=observation.step,
            figures={
                "grad_norm": ours.grad_norm,
                "reference_grad_norm": theirs.grad_norm,
                "loss": ours.loss,
                "reference_loss": theirs.loss,
            },
            reference=self.reference.run_id,
        )

    def _batch_note(self) -> str:
        size = self.reference.batch_size
        return "" if size is None else f" (its batch of {size} allowed for)"

    def _is_worse(self, ours: CurvePoint, theirs: CurvePoint) -> bool:
        norm_error = math.hypot(ours.grad_norm_error, theirs.grad_norm_error)
        loss_error = math.hypot(ours.loss_error, theirs.loss_error)
        norm_least = max(self.sigmas * norm_error, self.margin * abs(theirs.grad_norm))
        loss_least = max(self.sigmas * loss_error, self.margin * abs(theirs.loss))
        return (
            ours.grad_norm - theirs.grad_norm > norm_least
            and theirs.loss - ours.loss > loss_least
        )
