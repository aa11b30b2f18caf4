"""Totals over the steps of a run: samples, batch sizes, gradient noise."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from ..signals import LogWindow, Observation
from ..signals.noise_scale import NoiseScale, estimate, noise_scale_logs
from .readout import CapturedStep
from .samples import SampleCount
from .tally import Tally


class RunMeter:
    """Turns captured steps into observations.

    Args:
        samples: Counts the samples of each step.
        past: The steps before a resume.
        samples_seen: The samples of those steps.
        noise_steps: Steps that the noise scale is estimated from; 0 if it is not
            measured.
    """

    def __init__(
        self,
        samples: SampleCount,
        past: Sequence[Observation],
        samples_seen: int,
        noise_steps: int,
    ) -> None:
        self._samples = samples
        self._noise_window = deque(past, maxlen=noise_steps)
        self._samples_seen = samples_seen
        self.batch = Tally()

    @property
    def samples_seen(self) -> int:
        """Training samples seen so far."""
        return self._samples_seen

    def take_difference(self) -> str | None:
        """Where the batches and the trainer disagree, to report once."""
        difference, self._samples.difference = self._samples.difference, None
        return difference

    def observe(
        self, steps: Sequence[CapturedStep], logged_norm: Any, *, norms_trusted: bool
    ) -> tuple[Observation, ...]:
        """The observations of some steps.

        Args:
            steps: The captured steps.
            logged_norm: The norm that the host logged, if any; used if none was
                captured.
            norms_trusted: Whether the captured norms agree with the gradients.
        """
        window = tuple(
            self._observation(step, logged_norm, norms_trusted) for step in steps
        )
        self._noise_window.extend(window)
        return window

    def logs(self, window: LogWindow) -> dict[str, float]:
        """The `sftguide/...` logs of a window of steps."""
        return {**window.logs(), **noise_scale_logs(self.noise_scale())}

    def noise_scale(self) -> NoiseScale | None:
        """The estimate so far; None if it was not measured on enough steps."""
        return estimate(self._noise_window)

    def _observation(
        self, step: CapturedStep, logged_norm: Any, norms_trusted: bool
    ) -> Observation:
        samples = self._samples.of(step)
        if samples is not None:
            self._samples_seen += samples
            self.batch.add(samples)
        else:
            self._samples_seen = self._samples.after(step) or self._samples_seen
        norm = step.grad_norm
        # Without gradients, the host's own norm is 0 and not a measurement either.
        unknown = logged_norm is None or step.without_gradients
        fallback = float("nan" if unknown else logged_norm)
        return Observation(
            step=step.step,
            samples_seen=self._samples_seen,
            loss=step.loss,
            grad_norm=fallback if norm is None else norm,
            learning_rate=step.learning_rate,
            trained_tokens=step.trained_tokens,
            grad_noise=step.grad_noise,
            measured=norm is not None and norms_trusted,
            samples_counted=samples is not None,
            skipped=step.skipped,
        )
