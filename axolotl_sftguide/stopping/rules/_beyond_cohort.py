"""Higher norm and lower loss than most of the earlier runs."""

from __future__ import annotations

from dataclasses import dataclass

from ...signals import CurvePoint, Observation
from ...signals.cohort import Cohort, CohortPoint
from ...units import number, ordinal_share
from ._base import Verdict
from ._window import Window


@dataclass(frozen=True, slots=True)
class BeyondCohort:
    """Norm above and loss below the cohort's quantiles at the same samples seen.

    Both signals, averaged over `window` steps, must lie beyond by more than `sigmas`
    of their own standard errors. Where fewer than `least_peers` runs got that far,
    nothing is found.
    """

    cohort: Cohort
    window: int
    sigmas: float
    least_peers: int
    name: str = "cohort"

    def init(self) -> Window:
        """Nothing seen."""
        return Window()

    def step(
        self, state: Window, observation: Observation
    ) -> tuple[Window, Verdict | None]:
        """Compare the last window with the quantiles."""
        state = state.see(observation, self.window)
        ours = state.point(observation, self.window)
        theirs = self.cohort.at(observation.samples_seen)
        if ours is None or theirs is None or theirs.peers < self.least_peers:
            return state, None
        if not self._is_beyond(ours, theirs):
            return state, None
        share = ordinal_share(self.cohort.quantile)
        return state, Verdict(
            rule=self.name,
            reason=(
                f"gradient norm {number(ours.grad_norm)} above "
                f"{number(theirs.grad_norm)} and loss {number(ours.loss)} below "
                f"{number(theirs.loss)}, the {share} of {theirs.peers} finished runs "
                "at the same samples"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=observation.step,
            figures={
                "grad_norm": ours.grad_norm,
                "cohort_grad_norm": theirs.grad_norm,
                "loss": ours.loss,
                "cohort_loss": theirs.loss,
                "peers": theirs.peers,
            },
        )

    def _is_beyond(self, ours: CurvePoint, theirs: CohortPoint) -> bool:
        return (
            ours.grad_norm - theirs.grad_norm > self.sigmas * ours.grad_norm_error
            and theirs.loss - ours.loss > self.sigmas * ours.loss_error
        )
