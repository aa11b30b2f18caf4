"""The last steps of a run, averaged."""

from __future__ import annotations

from dataclasses import dataclass

from ...signals import CurvePoint, Observation, mean_and_standard_error


@dataclass(frozen=True, slots=True)
class Window:
    """The losses and norms of the last finite and measured steps."""

    losses: tuple[float, ...] = ()
    grad_norms: tuple[float, ...] = ()

    def see(self, observation: Observation, size: int) -> Window:
        """With one more step, if it counts."""
        if not (observation.finite and observation.measured):
            return self
        return Window(
            (*self.losses, observation.loss)[-size:],
            (*self.grad_norms, observation.grad_norm)[-size:],
        )

    def point(self, observation: Observation, size: int) -> CurvePoint | None:
        """Both averages, where the window is full and this step counts."""
        if not (observation.finite and observation.measured):
            return None
        if len(self.losses) < size:
            return None
        loss = mean_and_standard_error(self.losses)
        return CurvePoint(*loss, *mean_and_standard_error(self.grad_norms))
