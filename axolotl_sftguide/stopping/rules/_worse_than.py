"""Higher norm and lower loss than a reference run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...signals import Curve, Observation, Point
from ...units import number
from ._base import Verdict
from ._window import Averages, Window


@dataclass(frozen=True, slots=True)
class WorseThan:
    """Higher norm AND lower loss than the reference at the same samples seen.

    Both signals are averaged over `window` steps (arXiv 2412.13337, section 4: lower
    early gradient norm and higher early loss go with better final scores; it gives no
    threshold). Each difference must exceed `sigmas` of its standard errors and
    `margin` of the reference, so that the reference's twin with another seed passes.
    The reference's smoothed curve has no errors. They are taken from the run itself,
    scaled up with the signal where the reference is higher.
    """

    reference: Curve
    window: int
    sigmas: float
    margin: float
    name: str = "comparison"

    def init(self) -> Window:
        """An empty window."""
        return Window()

    def step(
        self, state: Window, observation: Observation
    ) -> tuple[Window, Verdict | None]:
        """Compare the last window with the reference's."""
        state = state.add(observation, self.window)
        own = state.averages(observation, self.window)
        reference = self.reference.at(observation.samples_seen, self.window)
        if own is None or reference is None or not self._is_worse(own, reference):
            return state, None
        return state, Verdict(
            rule=self.name,
            reason=(
                f"gradient norm {number(own.grad_norm)} above "
                f"{number(reference.grad_norm)} and loss {number(own.loss)} below "
                f"{number(reference.loss)}, the values of run {self.reference.run_id} "
                f"after as many samples{self._batch_note()}"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=observation.step,
            figures={
                "grad_norm": own.grad_norm,
                "reference_grad_norm": reference.grad_norm,
                "loss": own.loss,
                "reference_loss": reference.loss,
            },
            reference=self.reference.run_id,
        )

    def _batch_note(self) -> str:
        size = self.reference.batch_size
        return "" if size is None else f" (norm converted from batch size {size})"

    def _is_worse(self, own: Averages, reference: Point) -> bool:
        norm_least = self._least(
            own.grad_norm, own.grad_norm_error, reference.grad_norm
        )
        loss_least = self._least(own.loss, own.loss_error, reference.loss)
        return (
            own.grad_norm - reference.grad_norm > norm_least
            and reference.loss - own.loss > loss_least
        )

    def _least(self, own: float, own_error: float, reference: float) -> float:
        """The difference that a signal must exceed."""
        scale = max(1.0, abs(reference / own)) if own else math.inf
        error = math.hypot(own_error, own_error * scale)
        return max(self.sigmas * error, self.margin * abs(reference))
