"""The monitor and the rules as callbacks of TRL and transformers.

They forward the trainer's events to the session of the run, and apply its decisions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from ..config.rule_settings import EarlyTerminationSettings
from ..config.settings import Settings, early_termination_settings, load_settings
from ..console import show_log
from ..monitor.faults import fail_safe
from ..monitor.opening import open_run
from ..monitor.session import Session
from ..monitor.source_table import SourceTable
from ._calling import (
    calling_trainer,
    find_callback,
    resumed_checkpoint,
    saved_checkpoint,
)
from ._copying import WithoutTraining
from ._parking import request_whole_save
from ._pushing import HubPush
from .sources import source_finder
from .trackers import trackers_of


class GradientMonitorCallback(WithoutTraining, TrainerCallback):  # type: ignore[misc]
    """Records loss, gradient norm before clipping, learning rate and samples per step.

    It never changes gradients, weights, the order of the data or a random generator: a
    watched run is bit-identical to an unwatched one. It adds `sftguide/...` keys to the
    trainer's logs, writes a trace into the output folder and records the run in the
    run history.

    Args:
        study: Runs are compared within a study.
        storage: URL or path of the run history; by default `SFTGUIDE_STORAGE`, else a
            file in the user's home folder (`sftguide runs list` prints its location).
        name: The run's name; by default the name of its output folder.
        exact_accumulation: Average the loss over all trained tokens of a step.
        noise_scale: Measure the gradient noise scale.
        noise_scale_every: Measure it on one optimizer step out of this many; by default
            4.
        loss_by_source: A column of the data, such as `source` or `phase`; the loss is
            measured for each of its values.
        loss_by_source_every: Measure it on one optimizer step out of this many; by
            default as many as cost at most 0.5% of a step.
        trackers: Send warnings, the stop and scores to the trainer's trackers.
        train_dataset: The dataset that was passed to the trainer, for the sources of
            packed rows.
        eval_dataset: The same for evaluation.
        sources: Finds the sources of a trainer's data, in place of the two datasets.
        trainer: The trainer, if it exists already; `watch` passes it.
        settings: The whole `sftguide` block, in place of the arguments above.
        config: The configuration to record; by default the trainer's arguments.
        key_fields: Further fields of the comparability key.

    Raises:
        SettingsError: If an argument is wrong.
    """

    def __init__(
        self,
        *,
        study: str | None = None,
        storage: str | None = None,
        name: str | None = None,
        exact_accumulation: bool = False,
        noise_scale: bool = False,
        noise_scale_every: int | None = None,
        loss_by_source: str | None = None,
        loss_by_source_every: int | None = None,
        trackers: bool = True,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        sources: Callable[[Any], SourceTable] | None = None,
        trainer: Any = None,
        settings: Settings | None = None,
        config: dict[str, Any] | None = None,
        key_fields: dict[str, Any] | None = None,
    ) -> None:
        block = {
            "study": study,
            "storage": storage,
            "name": name,
            "exact_accumulation": exact_accumulation,
            "monitor": {
                "noise_scale": noise_scale,
                "noise_scale_every": noise_scale_every,
                "loss_by_source": loss_by_source,
                "loss_by_source_every": loss_by_source_every,
                "trackers": trackers,
            },
        }
        self.settings = settings or load_settings(block, path=type(self).__name__)
        self.session: Session | None = None
        """The session of the current training."""
        self._trainer = trainer
        self._config, self._key_fields = config, key_fields
        column = self.settings.monitor.loss_by_source
        self._sources = sources or source_finder(column, train_dataset, eval_dataset)
        self._beginning: Any = None
        self._evaluated: Any = None
        self._closed_step: int | None = None

    def start(self, trainer: Any) -> Session | None:
        """The session of the training that begins, opened by the first caller.

        Collective if several ranks train. None if any rank cannot be watched.
        """
        # Each training has its own state. An earlier training has ended, even if no
        # event was sent, as after an exception.
        if self._beginning is trainer.state:
            return self.session
        self._beginning, self._closed_step = trainer.state, None
        session, self.session = self.session, None
        if session is not None:
            session.abandon("the training was left before it ended")
        show_log()
        terminator = find_callback(trainer, EarlyTerminationCallback)
        self.session = open_run(
            trainer,
            self.settings,
            rules=terminator.settings if terminator else None,
            config=self._config,
            extra_key_fields=self._key_fields,
            checkpoint=resumed_checkpoint(trainer),
            sources=self._sources,
            listener=trackers_of(trainer, self.settings),
        )
        return self.session

    def close_step(self, state: Any) -> None:
        """Close the optimizer step; only the first call of a step has an effect."""
        self._beginning = None
        if self.session is not None and self._closed_step != state.global_step:
            self._closed_step = state.global_step
            self.session.end_step()

    def evaluated(self, metrics: Any) -> None:
        """Take in an evaluation; only the first call with its metrics has an effect."""
        if self.session is None or metrics is self._evaluated:
            return
        self._evaluated = metrics
        self.session.interrupted()
        if metrics:
            self.session.evaluated(metrics)

    @fail_safe
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the session."""
        self.start(calling_trainer(self._trainer))

    @fail_safe
    def on_step_begin(
        self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any
    ) -> None:
        """Read the learning rate, for a trainer without the next event."""
        self._beginning = None
        if self.session is not None:
            self.session.note_rate(optimizer)

    # Any callback may have changed the rate since the step began.
    on_optimizer_step = on_step_begin

    @fail_safe
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the optimizer step."""
        self.close_step(state)

    @fail_safe
    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        """Record the evaluation."""
        self.evaluated(metrics)

    @fail_safe
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the run in the checkpoint."""
        if self.session is not None:
            self.session.saved(saved_checkpoint(calling_trainer(self._trainer)))

    @fail_safe
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the session."""
        session, self.session = self.session, None
        self._beginning = None
        if session is not None:
            session.finish()


class EarlyTerminationCallback(WithoutTraining, TrainerCallback):  # type: ignore[misc]
    """Warns of a run that is non-finite, diverges, does not learn or does worse.

    Worse means worse than earlier runs, or than its own best evaluation. If the rule's
    action is `stop`, it stops the run through the trainer's own control, without an
    additional checkpoint or evaluation. It needs a `GradientMonitorCallback` and adds
    one if the trainer has none.

    Args:
        settings: The whole `early_termination` block, in place of keywords.
        push_terminated: Whether a stopped run may still be pushed to the hub.
        trainer: The trainer, if it exists already; `watch` passes it.
        **keywords: Keys of the block, such as `action="stop"` or
            `divergence={"patience": 50}`.

    Raises:
        SettingsError: If an argument is wrong.
    """

    def __init__(
        self,
        *,
        settings: EarlyTerminationSettings | None = None,
        push_terminated: bool = False,
        trainer: Any = None,
        **keywords: Any,
    ) -> None:
        self.settings = settings or early_termination_settings(**keywords)
        self.push_terminated = push_terminated
        self.stopped = False
        self.parked = False
        self._trainer = trainer
        self._monitor: GradientMonitorCallback | None = None
        self._push = HubPush()

    @fail_safe
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Find the monitor, or add one."""
        trainer = calling_trainer(self._trainer)
        self._push.begin(trainer)
        self.stopped = self.parked = False
        self._monitor = find_callback(trainer, GradientMonitorCallback)
        if self._monitor is None:
            self._monitor = GradientMonitorCallback(trainer=trainer)
            trainer.add_callback(self._monitor)
        self._monitor.start(trainer)

    @fail_safe
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the training if the session decided so; the same on every rank."""
        if self._monitor is not None:
            self._monitor.close_step(state)
        self._stop(args, state, control)

    @fail_safe
    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the training if the session decided so at this log."""
        self._stop(args, state, control)

    @fail_safe
    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        """Stop the training if the session decided so at this evaluation."""
        if self._monitor is not None:
            self._monitor.evaluated(metrics)
        self._stop(args, state, control)

    @fail_safe
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the training if the session decided so at this save."""
        self._stop(args, state, control)

    @fail_safe
    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Cancel the save and the evaluation at the end of the epoch."""
        if self.stopped:
            control.should_save = control.should_evaluate = False

    @fail_safe
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Give the arguments back, and release the monitor."""
        self._push.end(calling_trainer(self._trainer))
        self._monitor = None

    def _stop(self, args: Any, state: Any, control: Any) -> None:
        session = self._monitor.session if self._monitor else None
        if session is None or self.stopped:
            return
        if session.should_park:  # at the next save, which is requested here
            self._push.stop(args)
            request_whole_save(session, args, state, control)
        if not session.should_stop:
            return
        self.stopped, self.parked = True, session.is_parked
        control.should_training_stop = True
        control.should_evaluate = False
        control.should_save = control.should_save and session.due_save_is_good
        if not self.push_terminated or self.parked:
            self._push.stop(args)
