"""Higher norm and lower loss than most finished runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...signals import Observation
from ...signals.cohort import Cohort, CohortPoint
from ...units import number, ordinal_share
from ._base import Verdict
from ._window import Average, Averages, Window


@dataclass(frozen=True, slots=True)
class BeyondCohort:
    """Norm above and loss below the cohort's quantiles at the same samples seen.

    Both signals, averaged over `window` steps, must differ from the quantiles by more
    than `sigmas` standard errors: those of the run's mean, which heed that neighbouring
    steps are alike, and those of a quantile of few runs. The rule finds nothing where
    fewer than `least_peers` runs got that far.
    """

    cohort: Cohort
    window: int
    sigmas: float
    least_peers: int
    name: str = "cohort"

    def init(self) -> Window:
        """An empty window."""
        return Window()

    def step(
        self, state: Window, observation: Observation
    ) -> tuple[Window, Verdict | None]:
        """Compare the last window with the quantiles."""
        state = state.add(observation, self.window)
        own = state.averages(observation, self.window)
        cohort = self.cohort.at(observation.samples_seen)
        if own is None or cohort is None or cohort.peers < self.least_peers:
            return state, None
        if not self._is_beyond(own, cohort):
            return state, None
        share = ordinal_share(self.cohort.quantile)
        return state, Verdict(
            rule=self.name,
            reason=(
                f"gradient norm {number(own.grad_norm.mean)} above "
                f"{number(cohort.grad_norm)} and loss {number(own.loss.mean)} below "
                f"{number(cohort.loss)}, the {share} of the finished runs of "
                f"{cohort.peers} settings after as many samples"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=observation.step,
            signals=("loss", "grad_norm"),
            figures={
                "grad_norm": own.grad_norm.mean,
                "cohort_grad_norm": cohort.grad_norm,
                "loss": own.loss.mean,
                "cohort_loss": cohort.loss,
                "peers": cohort.peers,
            },
        )

    def _is_beyond(self, own: Averages, cohort: CohortPoint) -> bool:
        norm, loss = own.grad_norm, own.loss
        return norm.mean - cohort.grad_norm > self._least(
            norm, cohort.grad_norm_error
        ) and cohort.loss - loss.mean > self._least(loss, cohort.loss_error)

    def _least(self, own: Average, error: float) -> float:
        """The difference that a signal must exceed."""
        return math.hypot(own.limit(self.sigmas), self.sigmas * error)
