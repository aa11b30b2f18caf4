"""Higher norm and lower loss than a reference run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...signals import Curve, Observation, Point
from ...units import number
from ._base import Verdict
from ._window import Average, Averages, Window


@dataclass(frozen=True, slots=True)
class WorseThan:
    """Higher norm AND lower loss than the reference at the same samples seen.

    Both signals are averaged over `window` steps (arXiv 2412.13337, section 4: lower
    early gradient norm and higher early loss go with better final scores; it gives no
    threshold). Each difference must exceed `sigmas` of its standard errors and
    `margin` of the reference, so that the reference's twin with another seed passes.
    The errors heed that neighbouring steps are alike (`autocorrelation`). The
    reference's smoothed curve has none: they are taken from the run itself, scaled up
    with the signal where the reference is higher.
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
                f"gradient norm {number(own.grad_norm.mean)} above "
                f"{number(reference.grad_norm)} and loss {number(own.loss.mean)} below "
                f"{number(reference.loss)}, the values of run {self.reference.run_id} "
                f"after as many samples{self._batch_note()}"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=observation.step,
            signals=("loss", "grad_norm"),
            figures={
                "grad_norm": own.grad_norm.mean,
                "reference_grad_norm": reference.grad_norm,
                "loss": own.loss.mean,
                "reference_loss": reference.loss,
            },
            reference=self.reference.run_id,
        )

    def _batch_note(self) -> str:
        size = self.reference.batch_size
        return "" if size is None else f" (norm converted from batch size {size})"

    def _is_worse(self, own: Averages, reference: Point) -> bool:
        norm, loss = own.grad_norm, own.loss
        return norm.mean - reference.grad_norm > self._least(
            norm, reference.grad_norm
        ) and reference.loss - loss.mean > self._least(loss, reference.loss)

    def _least(self, own: Average, reference: float) -> float:
        """The difference that a signal must exceed."""
        scale = max(1.0, abs(reference / own.mean)) if own.mean else math.inf
        limit = own.limit(self.sigmas) * math.hypot(1.0, scale)
        return max(limit, self.margin * abs(reference))
