"""Callbacks for TRL and transformers (the only module that imports transformers).

They forward the trainer's events to the session of the run, and do what it decides.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from transformers import Trainer, TrainerCallback

from ..config.settings import (
    EarlyTerminationSettings,
    ScoreSettings,
    Settings,
    early_termination_settings,
    load_settings,
    score_settings,
)
from ..console import show_log
from ..errors import Problem, SettingsError
from ..monitor import notices
from ..monitor.faults import fail_safe
from ..monitor.opening import open_run
from ..monitor.scoring import Question, load_questions, score_exact_match
from ..monitor.session import Session
from ..runs.history import Score

logger = logging.getLogger(__name__)


def watch(
    trainer: Any,
    *,
    early_termination: Mapping[str, Any] | None = None,
    score: Mapping[str, Any] | None = None,
    **monitor: Any,
) -> None:
    """Attach the monitor, the rules and, if asked for, the score to a trainer.

    Args:
        trainer: A transformers `Trainer`, or one derived from it, before `train()`.
        early_termination: Keys of the `early_termination` block, such as
            `{"action": "stop"}`; by default the rules warn, and only steps that stay
            non-finite stop the run.
        score: Keys of the `score` block, such as `{"data_path": "heldout.jsonl"}`.
        **monitor: Arguments of `GradientMonitorCallback`, such as `study="mine"` or
            `noise_scale=True`.

    Raises:
        SettingsError: If an argument is wrong, or the trainer is watched already.
    """
    if _find(trainer, GradientMonitorCallback) is not None:
        raise SettingsError(
            [
                Problem(
                    "watch(trainer)",
                    "found a GradientMonitorCallback on the trainer",
                    "call watch once, and do not pass the callback yourself",
                )
            ]
        )
    callbacks: list[TrainerCallback] = [
        GradientMonitorCallback(trainer=trainer, **monitor),
        EarlyTerminationCallback(trainer=trainer, **(early_termination or {})),
    ]
    if score is not None:
        # Before the monitor, so that the score is part of the run.
        callbacks.insert(0, HeldOutScoreCallback(trainer=trainer, **score))
    for callback in callbacks:
        trainer.add_callback(callback)


class GradientMonitorCallback(TrainerCallback):  # type: ignore[misc]
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
        noise_scale_every: Measure it every so many optimizer steps; by default 4.
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
            },
        }
        self.settings = settings or load_settings(block, path=type(self).__name__)
        self.session: Session | None = None
        """The session of the training that runs now."""
        self._trainer = trainer
        self._config = config
        self._key_fields = key_fields
        self._learning_rate = 0.0
        self._opened = False

    def start(self, trainer: Any) -> Session | None:
        """The session of this training, opened by the callback that is called first.

        Collective where several ranks train. None if any rank cannot be watched.
        """
        if not self._opened:
            self._opened = True
            show_log()
            terminator = _find(trainer, EarlyTerminationCallback)
            self.session = open_run(
                trainer,
                self.settings,
                rules=terminator.settings if terminator else None,
                config=self._config,
                extra_key_fields=self._key_fields,
            )
        return self.session

    @fail_safe
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Open the session."""
        self.start(self._trainer or _calling_trainer())

    @fail_safe
    def on_step_begin(
        self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any
    ) -> None:
        """Read the learning rate of this step."""
        if optimizer is not None:
            self._learning_rate = float(optimizer.param_groups[0]["lr"])

    @fail_safe
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the optimizer step."""
        if self.session is not None:
            self.session.end_step(self._learning_rate)

    @fail_safe
    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        """Record the evaluation."""
        if self.session is not None:
            self.session.interrupted()
            if metrics:
                self.session.evaluated(metrics)

    @fail_safe
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep the time of a save out of the time of a step."""
        if self.session is not None:
            self.session.interrupted()

    @fail_safe
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the session."""
        session, self.session = self.session, None
        self._opened = False
        if session is not None:
            session.end()


class EarlyTerminationCallback(TrainerCallback):  # type: ignore[misc]
    """Warns of a run that is non-finite, diverged or idle, or worse than earlier runs.

    It stops the run if the rule's action is `stop`, through the trainer's own control,
    without a checkpoint or an evaluation. It needs a `GradientMonitorCallback` and adds
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
        self._trainer = trainer
        self._monitor: GradientMonitorCallback | None = None

    @fail_safe
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Find the monitor, or add one."""
        trainer = self._trainer or _calling_trainer()
        self.stopped = False
        self._monitor = _find(trainer, GradientMonitorCallback)
        if self._monitor is None:
            self._monitor = GradientMonitorCallback(trainer=trainer)
            trainer.add_callback(self._monitor)
        self._monitor.start(trainer)

    @fail_safe
    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the training if the session decided so; the same on every rank."""
        session = self._monitor.session if self._monitor else None
        if session is None or self.stopped or not session.decision.stop:
            return
        self.stopped = True
        control.should_training_stop = True
        control.should_save = control.should_evaluate = False
        if not self.push_terminated:
            args.push_to_hub = False

    @fail_safe
    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Cancel the save and the evaluation at the end of the epoch."""
        if self.stopped:
            control.should_save = control.should_evaluate = False

    @fail_safe
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Release the monitor."""
        self._monitor = None


class HeldOutScoreCallback(TrainerCallback):  # type: ignore[misc]
    """Answers held-out questions before and after the training and records the score.

    It works with a `GradientMonitorCallback` and must come before it in the list of
    callbacks, so that the score is recorded before the run ends; `watch` sees to it.

    Args:
        settings: The whole `score` block, in place of keywords.
        trainer: The trainer, if it exists already; `watch` passes it.
        **keywords: Keys of the block, such as `data_path="heldout.jsonl"`.

    Raises:
        SettingsError: If an argument is wrong.
    """

    def __init__(
        self,
        settings: ScoreSettings | None = None,
        *,
        trainer: Any = None,
        **keywords: Any,
    ) -> None:
        self.settings = settings or score_settings(**keywords)
        self._trainer = trainer
        self._questions: list[Question] = []
        self._base: float | None = None

    @fail_safe
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Score the model before the first step."""
        if not state.is_world_process_zero:
            return
        show_log()
        self._questions = load_questions(self.settings.data_path)
        if self.settings.base and state.global_step == 0:
            self._base = self._score(self._trainer or _calling_trainer())

    @fail_safe
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Score the tuned model and record the score."""
        trainer = self._trainer or _calling_trainer()
        monitor = _find(trainer, GradientMonitorCallback)
        if not self._questions or not state.is_world_process_zero:
            return
        value = self._score(trainer)
        if monitor is not None and monitor.session is not None:
            score = Score(self.settings.metric, value, "max", self._base)
            monitor.session.scored(score)
        beside = {"base": self._base, **self.settings.compare_with}
        metric, questions = self.settings.metric, len(self._questions)
        logger.info(notices.held_out_score(metric, value, questions, beside))

    def _score(self, trainer: Any) -> float:
        return score_exact_match(
            trainer.model,
            trainer.processing_class,
            self._questions,
            max_new_tokens=self.settings.max_new_tokens,
            batch_size=self.settings.batch_size,
        )


def _calling_trainer() -> Any:
    """The trainer whose event is being handled.

    transformers does not pass the trainer to its callbacks (huggingface/transformers
    issue 38181). It is two or three frames up, as `self` of the method that fires the
    event.
    """
    frame = sys._getframe(1)
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, Trainer):
            return candidate
        frame = frame.f_back  # type: ignore[assignment]
    raise RuntimeError("this callback was called outside of a transformers Trainer")


def _find(trainer: Any, kind: type) -> Any:
    callbacks = trainer.callback_handler.callbacks
    return next((c for c in callbacks if isinstance(c, kind)), None)
