"""The trials of a sweep in Optuna's storage.

All trials are queued before the first one starts. Each worker claims one trial at a
time, and trials of a dead worker are queued again. So several workers, on one machine
or on many, share the trials without a coordinator.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SweepError
from ..runs.history import Run, this_process
from ..runs.redaction import json_safe
from ._lock import alone
from ._objective import Objective
from ._sampler import SamplerName, make_sampler
from ._space import SearchSpace
from ._trial import (
    CLAIMED_AT,
    FOLDER,
    PARKED,
    RESUMED,
    WORKER,
    Trial,
    as_text,
    differ_in_valuing,
    difference,
    fixed,
    name_of,
    new_folder,
    plain,
    state_of,
    training_digest,
    worker_lives,
)
from .storage import RUN, as_storage_error, open_storage, optuna_module

_DEFINITION = "sftguide_sweep"
_UNVALUED = "sftguide_unvalued"
"""The user attribute of a trial that was trained and has no value: a digest of what
the study trains."""

_AGAIN = "again"


class SweepStudy:
    """The Optuna study of a sweep.

    Args:
        storage: SQLAlchemy URL of SQLite or PostgreSQL.
        name: Name of the Optuna study and of the study of the runs.
        space: What is varied.
        recipe: The config that is varied.
        objective: What the trials are compared by.
        output_dir: The folder of the trials' folders.
        sampler: Optuna's sampler; `grid` trains each combination once.
        seed: Seed of the sampler; with one worker the choices are reproducible.

    Raises:
        SweepError: If a study of this name has trials of another sweep.
        StorageError: If the storage cannot be opened.
    """

    @as_storage_error
    def __init__(
        self,
        storage: str,
        name: str,
        *,
        space: SearchSpace,
        recipe: Mapping[str, Any],
        objective: Objective,
        output_dir: Path,
        sampler: SamplerName,
        seed: int | None = None,
    ) -> None:
        self.name = name
        self.objective = objective
        self.space = space
        self.storage = storage
        self._optuna = optuna_module()
        self._output_dir = output_dir
        self._sampler = sampler
        self._seed = seed
        definition = json_safe(
            {
                "recipe": recipe,
                "space": {k: plain(v) for k, v in space.parameters.items()},
                "fixed": space.fixed,
                "objective": [objective.metric, objective.goal, objective.command],
            }
        )
        self._trains = training_digest(definition)
        with alone(self.storage):
            # Optuna creates its tables without a lock.
            self._storage = open_storage(storage)
            self._study = self._open(definition)

    def _open(self, definition: Any) -> Any:
        directions = {"max": "maximize", "min": "minimize"}
        study = self._optuna.create_study(
            storage=self._storage,
            study_name=self.name,
            direction=directions[self.objective.goal],
            load_if_exists=True,
        )
        known = study.user_attrs.get(_DEFINITION)
        trials = study.get_trials(deepcopy=False)
        begun = any(t.state != self._state("FAIL") for t in trials)
        valued = any(t.state == self._state("COMPLETE") for t in trials)
        values_anew = not valued and differ_in_valuing(known, definition)
        if known != definition and begun and not values_anew:
            raise SweepError(
                f"study {self.name!r} has trials of another sweep: "
                f"{difference(known, definition)}. Use another --study, or the same "
                "recipe and search space as before"
            )
        if known != definition:
            study.set_user_attr(_DEFINITION, definition)
        return study

    @as_storage_error
    def plan(self, trials: int | None) -> int:
        """Queue the trials that are missing.

        Trials that were trained and could not be valued are queued again with their
        folders, so that they are only valued.

        Args:
            trials: The number of trials, not counting failed ones; the `grid` sampler
                queues all combinations instead.

        Returns:
            The number of trials, not counting failed ones.
        """
        with alone(self.storage):
            self._requeue_unvalued()
            entered = [t for t in self._trials() if t.state != self._state("FAIL")]
            if self._sampler == "grid":
                there = {as_text(fixed(trial)) for trial in entered}
                for combination in self.space.combinations() or []:
                    if as_text(combination) not in there:
                        self._study.enqueue_trial(combination)
            else:
                for _ in range((trials or 0) - len(entered)):
                    self._study.enqueue_trial({})
            return sum(t.state != self._state("FAIL") for t in self._trials())

    def _requeue_unvalued(self) -> None:
        trials = self._trials()
        queued = {trial.user_attrs.get(_AGAIN) for trial in trials}
        for trial in trials:
            trained = trial.user_attrs.get(_UNVALUED) == self._trains
            if trained and trial.number not in queued:
                self._requeue(trial.number, "it has no value yet")

    @as_storage_error
    def requeue_lost(self, runs: Mapping[str, Run]) -> list[str]:
        """Queue again the trials whose worker is gone.

        Args:
            runs: The last run of each output folder; its heartbeat shows whether a
                worker on another machine is alive.

        Returns:
            The names of these trials.
        """
        with alone(self.storage):
            lost = [
                trial
                for trial in self.training()
                if not worker_lives(trial, runs.get(trial.user_attrs.get(FOLDER)))
            ]
            for trial in lost:
                self._requeue(trial.number, "its worker is gone")
            return [name_of(trial) for trial in lost]

    @as_storage_error
    def claim(self) -> Trial | None:
        """The next waiting trial, with its values chosen; None if none waits."""
        with alone(self.storage):
            waiting = self._trials("WAITING")
            if not waiting:
                return None
            number = waiting[0].number
            self._study.sampler = make_sampler(self._sampler, self._seed, number)
            trial = self._study.ask()
            trial.set_user_attr(WORKER, this_process())
            trial.set_user_attr(CLAIMED_AT, time.time())
            values = self.space.suggest(trial)
            folder = trial.user_attrs.get(FOLDER)
            if folder is None:
                folder = str(new_folder(self._output_dir, trial.number))
                trial.set_user_attr(FOLDER, folder)
            resumed = trial.user_attrs.get(RESUMED)
            return Trial(trial.number, values, Path(folder), resumed)

    @as_storage_error
    def requeue(self, trial: Trial, why: str) -> None:
        """Queue again a trial that was claimed and not finished."""
        with alone(self.storage):
            self._requeue(trial.number, why)

    @as_storage_error
    def finish(
        self,
        trial: Trial,
        value: float | None,
        *,
        run_id: str | None = None,
        curve: Mapping[int, float] | None = None,
        pruned: bool = False,
        unvalued: bool = False,
        why: str | None = None,
    ) -> None:
        """Record how a trial ended: with a value, pruned, or failed without either.

        Args:
            trial: The trial.
            value: The value of the objective.
            run_id: The id of its run.
            curve: Intermediate values by samples seen.
            pruned: Whether a rule stopped it.
            unvalued: Whether it was trained, and only its value is missing.
            why: Why it was stopped or failed.
        """
        asked = self._trial(trial.number)
        if asked.state.is_finished():
            return  # an earlier attempt succeeded, but its answer was lost
        trains = self._trains if unvalued else None
        self.note(asked, **{RUN: run_id, "why": why, _UNVALUED: trains})
        for step, point in (curve or {}).items():
            self._storage.set_trial_intermediate_value(asked._trial_id, step, point)
        state = "COMPLETE" if value is not None else "PRUNED" if pruned else "FAIL"
        self._study.tell(trial.number, value, state=self._state(state))

    def note(self, trial: Any, **attributes: Any) -> None:
        """Set attributes of one of Optuna's trials, except those that are None."""
        for name, value in attributes.items():
            if value is not None:
                self._storage.set_trial_user_attr(trial._trial_id, name, value)

    def training(self) -> list[Any]:
        """Optuna's trials that a worker has claimed and not parked."""
        running = self._trials("RUNNING")
        return [trial for trial in running if not trial.user_attrs.get(PARKED)]

    def parked(self) -> list[Any]:
        """Optuna's trials that are parked, and belong to no worker."""
        running = self._trials("RUNNING")
        return [trial for trial in running if trial.user_attrs.get(PARKED)]

    @as_storage_error
    def counts(self) -> dict[str, int]:
        """The number of trials in each of Optuna's states or `PARKED`, by name."""
        return dict(Counter(map(state_of, self._trials())))

    @as_storage_error
    def best(self) -> tuple[str, float, str] | None:
        """Name, value and folder of the best trial so far."""
        try:
            best = self._storage.get_best_trial(self._study._study_id)
        except ValueError:  # no trial has a value yet
            return None
        return name_of(best), best.value, best.user_attrs[FOLDER]

    def _requeue(self, number: int, why: str) -> None:
        frozen = self._trial(number)
        if not frozen.state.is_finished():
            self._study.tell(number, state=self._state("FAIL"))
        # A trial without all of its values chooses the others again.
        values = {**fixed(frozen), **frozen.params}
        attributes: dict[str, Any] = {_AGAIN: number, "because": why}
        for name in (FOLDER, RESUMED):
            if name in frozen.user_attrs:
                attributes[name] = frozen.user_attrs[name]
        self._study.enqueue_trial(values, user_attrs=attributes)

    def _trials(self, state: str | None = None) -> list[Any]:
        """All trials, or those in a state, in order."""
        if state is None:
            return list(self._study.get_trials(deepcopy=False))
        # The study would read all trials that have not ended, to return a few.
        states, study = (self._state(state),), self._study._study_id
        return list(self._storage.get_all_trials(study, deepcopy=False, states=states))

    def _trial(self, number: int) -> Any:
        study = self._study._study_id
        own = self._storage.get_trial_id_from_study_id_trial_number(study, number)
        return self._storage.get_trial(own)

    def _state(self, name: str) -> Any:
        return self._optuna.trial.TrialState[name]
