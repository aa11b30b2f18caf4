"""Totals over the steps of a run: samples, batch sizes, gradient noise."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from ..signals import Observation, window_logs
from ..signals.noise_scale import NoiseScale, estimate, noise_scale_logs
from .readout import CapturedStep
from .tally import Tally


class RunMeter:
    """Turns captured steps into observations.

    Args:
        trainer: Its epoch and dataset give the samples if batches do not show them.
        past: The steps before a resume.
        noise_steps: Steps that the noise scale is estimated from; 0 if it is not
            measured.
    """

    def __init__(
        self, trainer: Any, past: Sequence[Observation], noise_steps: int
    ) -> None:
        self._trainer = trainer
        self._noise_window = deque(past, maxlen=noise_steps)
        self._samples_seen = self._samples_before(past)
        self.batch = Tally()

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

    def logs(self, window: Sequence[Observation]) -> dict[str, float]:
        """The `sftguide/...` logs of a window of steps."""
        return {**window_logs(window), **noise_scale_logs(self.noise_scale())}

    def noise_scale(self) -> NoiseScale | None:
        """The estimate so far; None if it was not measured on enough steps."""
        return estimate(self._noise_window)

    def _observation(
        self, step: CapturedStep, logged_norm: Any, norms_trusted: bool
    ) -> Observation:
        counted = step.samples is not None
        if step.samples is not None:
            self._samples_seen += step.samples
            self.batch.add(step.samples)
        else:
            self._samples_seen = self._epoch_times_rows()
        norm = step.grad_norm
        fallback = float("nan" if logged_norm is None else logged_norm)
        return Observation(
            step=step.step,
            samples_seen=self._samples_seen,
            loss=step.loss,
            grad_norm=fallback if norm is None else norm,
            learning_rate=step.learning_rate,
            trained_tokens=step.trained_tokens,
            grad_noise=step.grad_noise,
            measured=norm is not None and norms_trusted,
            samples_counted=counted,
        )

    def _samples_before(self, past: Sequence[Observation]) -> int:
        if past:
            return past[-1].samples_seen
        return self._epoch_times_rows() if self._trainer.state.global_step else 0

    def _epoch_times_rows(self) -> int:
        try:
            rows = len(self._trainer.train_dataset)
        except TypeError:
            return 0
        return round((self._trainer.state.epoch or 0) * rows)
