"""Turns captured steps into observations, on all ranks together, and records them."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict

from ..signals import Observation
from . import notices
from .capture import PendingStep
from .faults import Guard
from .meter import RunMeter
from .no_recorder import NoRecorder
from .norm_check import NormCheck
from .ranks import Ranks
from .readout import CapturedStep, StepReadout
from .recorder import RunRecorder

logger = logging.getLogger(__name__)


class StepObserver:
    """Reads, checks, counts and records the steps of one run.

    Args:
        ranks: The ranks that train.
        guard: Keeps errors of this class away from the training.
        readout: Reads steps from the device.
        meter: Counts them.
        recorder: Records them.
    """

    def __init__(
        self,
        ranks: Ranks,
        guard: Guard,
        readout: StepReadout,
        meter: RunMeter,
        recorder: RunRecorder | NoRecorder,
    ) -> None:
        self._ranks = ranks
        self._guard = guard
        self._readout = readout
        self._meter = meter
        self._recorder = recorder
        self._norms = NormCheck()

    def observe(
        self,
        steps: Sequence[PendingStep],
        logged_norm: float | None,
        step_s: float | None,
    ) -> tuple[Observation, ...] | None:
        """The observations of some steps. Collective.

        Args:
            steps: The steps on this rank.
            logged_norm: The norm that the host logged, if it did.
            step_s: Mean seconds of a step so far.

        Returns:
            None if any rank has failed.
        """
        guard = self._guard
        # Before the table too: reading a sharded norm is collective itself.
        if not self._ranks.all_ready(not guard.failed, len(steps)):
            return None
        table = guard.call(lambda: self._readout.table(steps), None)
        if not self._ranks.all_ready(table is not None) or table is None:
            return None
        no_steps: list[CapturedStep] = []
        nothing: tuple[Observation, ...] = ()
        # Guarded too: after a device error nothing can be read from the device.
        captured = guard.call(lambda: self._readout.read(steps, table), no_steps)
        return guard.call(lambda: self._enter(captured, logged_norm, step_s), nothing)

    def _enter(
        self,
        captured: Sequence[CapturedStep],
        logged_norm: float | None,
        step_s: float | None,
    ) -> tuple[Observation, ...]:
        for step in captured:
            self._check_norm(step)
        window = self._meter.observe(
            captured, logged_norm, norms_trusted=self._norms.trusted
        )
        difference = self._meter.take_difference()
        if difference is not None and self._ranks.main:
            logger.info(difference)
        self._recorder.steps(window, step_s=step_s)
        return window

    def _check_norm(self, step: CapturedStep) -> None:
        trusted = self._norms.trusted
        result = self._norms.check(step)
        if result is None:
            return
        self._recorder.norm_check(**asdict(result))
        if trusted and not self._norms.trusted and self._ranks.main:
            ratio = math.nan if result.ratio is None else result.ratio
            logger.warning(notices.wrong_norm(step.step, ratio))
