"""The parked trials of a study, which belong to no worker until one takes them.

To Optuna a parked trial is still running, so that it can go on under its own number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..runs.history import this_process
from ._lock import alone
from ._study import SweepStudy
from ._trial import CLAIMED_AT, FOLDER, PARKED, RESUMED, WORKER, Trial
from .storage import as_storage_error


class ParkedTrials:
    """The parked trials in the storage of a study.

    Args:
        study: The study.
    """

    def __init__(self, study: SweepStudy) -> None:
        self._study = study

    @as_storage_error
    def add(self, trial: Trial) -> None:
        """Park a trial of this worker."""
        with alone(self._study.storage):
            for found in self._study.training():
                if found.number == trial.number:
                    self._study.note(found, **{PARKED: True})

    @as_storage_error
    def all(self) -> list[Trial]:
        """All parked trials whose folder is on this machine, in order."""
        space = self._study.space
        found = [
            Trial(trial.number, space.values_of(trial.params), folder, resumed)
            for trial in self._study.parked()
            for folder in [Path(trial.user_attrs[FOLDER])]
            for resumed in [trial.user_attrs.get(RESUMED)]
        ]
        return [trial for trial in found if trial.folder.is_dir()]

    @as_storage_error
    def take(self, trial: Trial, resumed: Mapping[str, Any]) -> Trial | None:
        """Give a parked trial to this worker; None if another one has it.

        Args:
            trial: The trial.
            resumed: At which `step` it was parked, and why it is resumed.
        """
        with alone(self._study.storage):
            for found in self._study.parked():
                if found.number == trial.number:
                    claim = {WORKER: this_process(), CLAIMED_AT: time.time()}
                    attributes = {**claim, RESUMED: dict(resumed), PARKED: False}
                    self._study.note(found, **attributes)
                    return Trial(trial.number, trial.values, trial.folder, resumed)
        return None

    @as_storage_error
    def drop(
        self,
        trial: Trial,
        record: Callable[[], str],
        curve: Mapping[int, float],
        *,
        at_the_end: bool,
    ) -> bool:
        """Stop a parked trial for good.

        Args:
            trial: The trial.
            record: Records the stop while no other worker can take the trial, and
                returns the reason.
            curve: Intermediate values by samples seen.
            at_the_end: Only if no worker has a trial whose score could alter that.

        Returns:
            Whether it was parked until now.
        """
        with alone(self._study.storage):
            if at_the_end and self._study.training():
                return False
            if all(found.number != trial.number for found in self._study.parked()):
                return False
            why = record()
            self._study.finish(trial, None, curve=curve, pruned=True, why=why)
            return True
