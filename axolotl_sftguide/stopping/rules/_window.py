"""The last steps of a run, averaged."""

from __future__ import annotations

from dataclasses import dataclass

from ...signals import Observation, mean_and_standard_error


@dataclass(frozen=True, slots=True)
class Averages:
    """A run's two signals over a window, each with the standard error of its mean."""

    loss: float
    loss_error: float
    grad_norm: float
    grad_norm_error: float


@dataclass(frozen=True, slots=True)
class Window:
    """The losses and norms of the last steps that can be compared."""

    losses: tuple[float, ...] = ()
    grad_norms: tuple[float, ...] = ()

    def add(self, observation: Observation, size: int) -> Window:
        """The window after one more step, if the step can be compared."""
        if not observation.comparable:
            return self
        return Window(
            (*self.losses, observation.loss)[-size:],
            (*self.grad_norms, observation.grad_norm)[-size:],
        )

    def averages(self, observation: Observation, size: int) -> Averages | None:
        """Both averages, where the window is full and this step is part of it."""
        if not observation.comparable or len(self.losses) < size:
            return None
        loss = mean_and_standard_error(self.losses)
        return Averages(*loss, *mean_and_standard_error(self.grad_norms))
