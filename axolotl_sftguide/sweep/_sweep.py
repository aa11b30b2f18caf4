"""Workers that train trials until none is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, TypeVar

from ..errors import SFTGuideError, StorageError, SweepError
from ..runs.checkpoints import remove_parked
from ..runs.history import STORAGE_VARIABLE, Run, RunHistory
from ..runs.traces import Trace, find_traces
from ..stopping.parking import STAGE_VARIABLE, Stage
from ._config import config_of, parks, rules_of
from ._objective import NotValuedError
from ._parking import Parking
from ._runs import end_interrupted, entered, last_runs, record_value
from ._space import SearchSpace
from ._study import SweepStudy
from ._training import Interrupted, Training, curve_of
from ._trial import Ended, Running, Trial

STORAGE_PATIENCE_S = 300.0
"""How long an unreachable storage is retried when a trial ends."""

T = TypeVar("T")


class Sweep:
    """Trains the trials of a study, several at a time.

    Args:
        study: The trials.
        recipe: The config that the trials start from.
        space: What is varied.
        storage: SQLAlchemy URL of the run history.
        workers: Number of trainings at a time.
        devices: `CUDA_VISIBLE_DEVICES` of each worker; empty to leave it unchanged.
        arguments: More arguments for `axolotl train`.
        on_end: Called from the thread of the worker when a trial ends.
        on_note: Called so with a trial and a line about it.
    """

    def __init__(
        self,
        study: SweepStudy,
        *,
        recipe: Mapping[str, Any],
        space: SearchSpace,
        storage: str,
        workers: int = 1,
        devices: Sequence[str] = (),
        arguments: Sequence[str] = (),
        on_end: Callable[[Ended], None] = lambda _: None,
        on_note: Callable[[Trial, str], None] = lambda _, __: None,
    ) -> None:
        self.study = study
        self._recipe = recipe
        self._space = space
        self._storage = storage
        self._history = RunHistory(storage)
        self._workers = max(workers, len(devices))
        self._devices = list(devices) or [""] * self._workers
        self._arguments = arguments
        self._on_end = on_end
        self._on_note = on_note
        self._parking = Parking(
            study,
            self._history,
            lambda trial: rules_of(self.config_of(trial)),
            on_end,
            on_note,
        )
        self._parks = True
        self._may_park = False
        self._stop = threading.Event()
        self._hurry = threading.Event()
        self._has_trained = False
        self._unvalued = 0
        self._running: dict[int, Trial] = {}

    def requeue_lost(self) -> list[str]:
        """Queue again the trials whose worker is gone, and return their names."""
        return self.study.requeue_lost(last_runs(self._history, self.study.name))

    def run(self, on_wait: Callable[[], None] = lambda: None) -> None:
        """Train until no trial waits.

        Args:
            on_wait: Called twice a second from this thread.

        Raises:
            KeyboardInterrupt: After the trainings were ended and their trials queued
                again; a second one kills the trainings.
            SweepError: If the first trial fails before its first step, or the command
                that values the trials fails from the start.
        """
        with ThreadPoolExecutor(self._workers) as pool:
            work = [pool.submit(self._work, i) for i in range(self._workers)]
            interrupted = None
            while self._goes_on(work):
                try:
                    on_wait()
                    wait(work, timeout=0.5, return_when=FIRST_EXCEPTION)
                except KeyboardInterrupt as interrupt:
                    (self._hurry if self._stop.is_set() else self._stop).set()
                    interrupted = interrupt
        on_wait()
        for future in work:
            future.result()
        if interrupted is not None:
            raise interrupted

    def running(self) -> list[Running]:
        """The trials that this process is training."""
        trials = list(self._running.values())
        try:
            folders = [str(trial.folder) for trial in trials]
            runs = last_runs(self._history, self.study.name, folders) if trials else {}
        except SFTGuideError:
            runs = {}
        return [Running(trial, runs.get(str(trial.folder))) for trial in trials]

    def config_of(self, trial: Trial) -> dict[str, Any]:
        """The complete config of one trial."""
        metric = self.study.objective.metric
        return config_of(trial, self.study.name, metric, self._recipe, self._space)

    def _goes_on(self, work: Sequence[Future[None]]) -> bool:
        faults = [future.exception() for future in work if future.done()]
        # Trainings continue without a storage; the next call reads their traces.
        if any(fault and not isinstance(fault, StorageError) for fault in faults):
            self._stop.set()
        return not all(future.done() for future in work)

    def _work(self, worker: int) -> None:
        while not self._stop.is_set():
            trial = self._retrying(self.study.claim) or self._retrying(
                self._parking.next
            )
            if trial is None and not (self._may_park and self._running):
                return
            if trial is None:
                # What trains now may be parked, or give a parked trial a chance.
                self._stop.wait(1.0)
                continue
            self._running[trial.number] = trial
            try:
                self._conduct(trial, self._devices[worker])
            finally:
                del self._running[trial.number]

    def _retrying(self, act: Callable[[], T]) -> T:
        """Retry while the storage is unreachable, for a limited time."""
        deadline = time.monotonic() + STORAGE_PATIENCE_S
        while True:
            try:
                return act()
            except StorageError:
                if time.monotonic() > deadline or self._hurry.is_set():
                    raise
                time.sleep(2.0)

    def _conduct(self, trial: Trial, device: str) -> None:
        try:
            self._retrying(lambda: self._parking.explain(trial))
            config = self.config_of(trial)
            training = Training(
                config,
                trial.folder,
                arguments=self._arguments,
                environment=self._environment(trial, config, device),
                resumed_at=trial.resumed_at,
            )
            trace = training.run(self._stop, self._hurry)
            self._has_trained = True
            if trace.end is not None and trace.end["status"] == "parked":
                self._park(trial, trace, device)
                return
            value = self._value_of(trace)
        except Interrupted:
            self._retrying(lambda: end_interrupted(self._history, trial.folder))
            self._retrying(lambda: self.study.requeue(trial, "interrupted"))
        except StorageError:
            raise
        except NotValuedError as error:
            self._leave_unvalued(trial, trace, error)
        except SFTGuideError as error:
            self._fail(trial, str(error))
        else:
            self._judge(trial, trace, value)

    def _environment(
        self, trial: Trial, config: Mapping[str, Any], device: str
    ) -> dict[str, str]:
        found = {STORAGE_VARIABLE: self._storage}
        if device:
            found["CUDA_VISIBLE_DEVICES"] = device
        if self._parks and parks(config):
            self._may_park = True
            stage: Stage = "first" if trial.resumed is None else "resumed"
            if not (trial.resumed or {}).get("alone"):
                found[STAGE_VARIABLE] = stage
        return found

    def _park(self, trial: Trial, trace: Trace, device: str) -> None:
        run = self._retrying(lambda: entered(self._history, trace))
        self._report(trial, run, None, run.reason)
        too_large = self._parking.too_large(trial)
        if too_large is None:
            self._retrying(lambda: self._parking.park(trial))
            return
        self._parks = False
        self._on_note(trial, f"is trained on, and no trial is parked: {too_large}")
        step = trace.observations[-1].step
        self._conduct(replace(trial, resumed={"step": step}), device)

    def _value_of(self, trace: Trace) -> float | None:
        """The value of a run; None if a rule stopped it."""
        stopped = trace.end is not None and trace.end["status"] == "terminated"
        return None if stopped else self.study.objective.of(trace)

    def _judge(self, trial: Trial, trace: Trace, value: float | None) -> None:
        run = self._retrying(lambda: entered(self._history, trace))
        remove_parked(trial.folder)
        stopped = run.status == "terminated"
        if value is not None:
            self._retrying(
                lambda: record_value(self._history, run, self.study.objective, value)
            )
        self._retrying(
            lambda: self.study.finish(
                trial,
                value,
                run_id=run.id,
                curve=curve_of(trace, self.study.objective, stopped=stopped),
                pruned=stopped,
                why=run.reason if stopped else None,
            )
        )
        self._report(trial, run, value, run.reason if stopped else None)

    def _leave_unvalued(
        self, trial: Trial, trace: Trace, error: NotValuedError
    ) -> None:
        """Record a trained trial that has no value.

        Raises:
            SweepError: If the command cannot run, or no trial has a value yet and the
                command was called wrongly or this is the second trial without one.
        """
        run = self._retrying(lambda: entered(self._history, trace))
        remove_parked(trial.folder)
        self._retrying(
            lambda: self.study.finish(
                trial,
                None,
                run_id=run.id,
                curve=curve_of(trace, self.study.objective),
                unvalued=True,
                why=str(error),
            )
        )
        self._report(trial, run, None, str(error))
        self._unvalued += 1
        fails = error.wrong_usage or self._unvalued >= 2
        if not error.can_run or (fails and self.study.best() is None):
            by_command = self.study.objective.command is not None
            what, option = (
                ("command", "--command") if by_command else ("metric", "--metric")
            )
            raise SweepError(
                f"the sweep ends, because its {what} fails: {error}. Correct {option} "
                "and run the sweep again: trials that are trained already are then "
                "valued without another training"
            )

    def _fail(self, trial: Trial, why: str) -> None:
        # It is repeated from its first step.
        remove_parked(trial.folder)
        self._retrying(lambda: self.study.finish(trial, None, why=why))
        self._report(trial, None, None, why)
        if not self._has_trained and not find_traces(trial.folder):
            # All trials fail if the first one fails before its first step.
            raise SweepError(f"{trial.name} could not start training: {why}")

    def _report(
        self, trial: Trial, run: Run | None, value: float | None, why: str | None
    ) -> None:
        best = self.study.best()
        is_best = best is not None and value is not None and best[0] == trial.name
        self._on_end(Ended(trial, run, value, why, is_best))
