"""The last steps of a run, averaged."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from ...signals import Observation
from ...signals.autocorrelation import Moments, Noise

_STRETCH = 16
"""Steps per stretch in which the noise is measured."""

_KEPT = 0.9
"""The weight that earlier stretches keep with each new one: about 160 steps count."""


_NO_STRETCH = Moments(_STRETCH)
_UNKNOWN = _NO_STRETCH.noise()


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of a signal over a window, and the noise of its steps."""

    mean: float
    noise: Noise
    steps: int

    def limit(self, sigmas: float) -> float:
        """`sigmas` standard errors of the mean; see `Noise.limit`."""
        return self.noise.limit(sigmas, self.steps)


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal: the steps of the window, and the noise over the run so far.

    A window of 16 steps does not show how correlated its own steps are.
    """

    values: tuple[float, ...] = ()
    stretch: tuple[float, ...] = ()
    """The stretch that is not full."""
    moments: Moments = _NO_STRETCH
    noise: Noise = _UNKNOWN

    def add(self, value: float, size: int) -> Signal:
        """The signal after one more step."""
        values = (*self.values, value)[-size:]
        stretch = (*self.stretch, value)
        if len(stretch) < _STRETCH:
            return Signal(values, stretch, self.moments, self.noise)
        moments = self.moments.add(stretch, _KEPT)
        return Signal(values, (), moments, moments.noise())

    def average(self) -> Average:
        """The mean over the window."""
        return Average(fmean(self.values), self.noise, len(self.values))


_EMPTY = Signal()


@dataclass(frozen=True, slots=True)
class Averages:
    """A run's two signals over a window."""

    loss: Average
    grad_norm: Average


@dataclass(frozen=True, slots=True)
class Window:
    """The losses and norms of the last steps that can be compared."""

    loss: Signal = _EMPTY
    grad_norm: Signal = _EMPTY

    def add(self, observation: Observation, size: int) -> Window:
        """The window after one more step, if the step can be compared."""
        if not observation.comparable:
            return self
        return Window(
            self.loss.add(observation.loss, size),
            self.grad_norm.add(observation.grad_norm, size),
        )

    def averages(self, observation: Observation, size: int) -> Averages | None:
        """Both averages, where the window is full and this step is part of it."""
        if not observation.comparable or len(self.loss.values) < size:
            return None
        return Averages(self.loss.average(), self.grad_norm.average())
