"""A run with a higher norm and a lower loss than a reference run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..signals import Curve, CurvePoint, Observation, mean_and_standard_error
from ..units import number
from ._base import Verdict


@dataclass(frozen=True, slots=True)
class _State:
    losses: tuple[float, ...] = ()
    grad_norms: tuple[float, ...] = ()
    worse: int = 0


@dataclass(frozen=True, slots=True)
class WorseThan:
    """Higher norm AND lower loss than the reference, on `patience` steps in a row.

    Both signals are averaged over `window` steps and compared at the same number of
    samples seen (arXiv 2412.13337, section 4: lower early gradient norm and higher
    early loss go with better final scores; it gives no threshold). Each difference
    must exceed `sigmas` standard errors and `margin` of the reference, so that the
    reference's twin with another seed passes. Steps whose norm was not measured at
    the clip, and non-finite ones, are passed over.
    """

    reference: Curve
    grace: int
    window: int
    sigmas: float
    margin: float
    patience: int
    name: str = "comparison"

    def init(self) -> _State:
        """Nothing seen."""
        return _State()

    def step(
        self, state: _State, observation: Observation
    ) -> tuple[_State, Verdict | None]:
        """Compare the last window with the reference's at the same samples seen."""
        if not (observation.finite and observation.measured):
            return state, None
        losses = (*state.losses, observation.loss)[-self.window :]
        norms = (*state.grad_norms, observation.grad_norm)[-self.window :]
        if observation.step < self.grace or len(losses) < self.window:
            return _State(losses, norms), None
        theirs = self.reference.at(observation.samples_seen, self.window)
        if theirs is None:
            return _State(losses, norms), None
        ours = CurvePoint(
            *mean_and_standard_error(losses), *mean_and_standard_error(norms)
        )
        worse = state.worse + 1 if self._is_worse(ours, theirs) else 0
        state = _State(losses, norms, worse)
        if worse < self.patience:
            return state, None
        return state, Verdict(
            rule=self.name,
            reason=(
                f"gradient norm {number(ours.grad_norm)} above "
                f"{number(theirs.grad_norm)} and loss {number(ours.loss)} below "
                f"{number(theirs.loss)} of run {self.reference.run_id} at the same "
                f"samples, for {worse} steps"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=observation.step - worse + 1,
            figures={
                "grad_norm": ours.grad_norm,
                "reference_grad_norm": theirs.grad_norm,
                "loss": ours.loss,
                "reference_loss": theirs.loss,
            },
            reference=self.reference.run_id,
        )

    def _is_worse(self, ours: CurvePoint, theirs: CurvePoint) -> bool:
        norm_error = math.hypot(ours.grad_norm_error, theirs.grad_norm_error)
        loss_error = math.hypot(ours.loss_error, theirs.loss_error)
        norm_least = max(self.sigmas * norm_error, self.margin * abs(theirs.grad_norm))
        loss_least = max(self.sigmas * loss_error, self.margin * abs(theirs.loss))
        return (
            ours.grad_norm - theirs.grad_norm > norm_least
            and theirs.loss - ours.loss > loss_least
        )
