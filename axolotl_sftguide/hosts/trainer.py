"""The callbacks for TRL and transformers (the only file that imports transformers)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from transformers import Trainer, TrainerCallback

from ..config.settings import (
    EarlyTerminationSettings,
    ScoreSettings,
    Settings,
    early_termination_settings,
    load_settings,
)
from ..console import say
from ..errors import SFTGuideError
from ..monitor.ranks import Ranks
from ..monitor.scoring import Question, load_questions, score_exact_match
from ..monitor.watch import Watch, harmless
from ..runs import marker
from ..runs.history import Decision, Score
from ..signals import Observation
from ..stopping.judge import Finding, Judge, JudgeState, actions_of, describe, judge_of
from ..units import count, number


class GradientMonitorCallback(TrainerCallback):  # type: ignore[misc]
    """Records loss, pre-clip gradient norm, learning rate and samples of every step.

    Never changes gradients, weights, data order or a random generator: a watched run
    is bit-identical to an unwatched one. Publishes `sftguide/...` keys into the
    host's logs, writes a trace into the output folder and an entry into the run
    history.

    Args:
        study: Runs are compared inside a study and a comparability key.
        storage: URL or path of the run history; else `SFTGUIDE_STORAGE`, else the
            user's own (`sftguide runs list` prints where).
        name: The run's name; by default the name of its output folder.
        exact_accumulation: Average the loss over all trained tokens of a step.
        settings: The whole block instead of the above; what the plugin passes.
        config: The resolved configuration to record; by default the trainer's.
        key_fields: Further fields of the comparability key.

    Raises:
        SettingsError: Where an argument is not what it must be.
    """

    def __init__(
        self,
        *,
        study: str | None = None,
        storage: str | None = None,
        name: str | None = None,
        exact_accumulation: bool = False,
        settings: Settings | None = None,
        config: dict[str, Any] | None = None,
        key_fields: dict[str, Any] | None = None,
    ) -> None:
        block = {
            "study": study,
            "storage": storage,
            "name": name,
            "exact_accumulation": exact_accumulation,
        }
        self.settings = settings or load_settings(block, path=type(self).__name__)
        self.watch: Watch | None = None
        self._config = config
        self._key_fields = key_fields
        self._learning_rate = 0.0
        self._unwatched = False

    def start(self, trainer: Any) -> Watch | None:
        """The watch over this training, begun by whichever callback asks first.

        Collective where several ranks train. None where any of them cannot begin.
        """
        if self.watch is None and not self._unwatched:
            watch = self._begin(trainer)
            if Ranks(trainer).all_well(watch is not None):
                self.watch = watch
            else:
                self._unwatched = True
                if watch is not None:
                    watch.let_go()
        return self.watch

    def _begin(self, trainer: Any) -> Watch | None:
        try:
            return Watch(trainer, self.settings, self._config, self._key_fields)
        except SFTGuideError as error:
            say(f"{error}; training goes on unwatched")
        except Exception as fault:
            say(f"cannot watch after a fault of its own ({fault!r}); training goes on")
        return None

    @harmless
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Attach to the trainer's instance and say so."""
        trainer = _calling_trainer()
        watch = self.start(trainer)
        if watch is not None and state.is_world_process_zero:
            terminator = _find(trainer, EarlyTerminationCallback)
            rules = describe(terminator.settings) if terminator else "no rule is on"
            say(watch.banner(rules))

    @harmless
    def on_step_begin(
        self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any
    ) -> None:
        """Note the learning rate that this step is taken with."""
        if optimizer is not None:
            self._learning_rate = float(optimizer.param_groups[0]["lr"])

    @harmless
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the optimizer step."""
        if self.watch is not None:
            self.watch.end_step(self._learning_rate)

    @harmless
    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        """Record what the evaluation found."""
        if self.watch is not None:
            self.watch.interrupted()
            if metrics:
                self.watch.evaluated(metrics)

    @harmless
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Do not take the time of a save for training."""
        if self.watch is not None:
            self.watch.interrupted()

    @harmless
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note how the run ended and let the trainer go."""
        watch, self.watch = self.watch, None
        self._unwatched = False
        if watch is not None:
            watch.end()


class EarlyTerminationCallback(TrainerCallback):  # type: ignore[misc]
    """Warns of, or stops, a run that is non-finite, diverged, idle or worse.

    Works beside a `GradientMonitorCallback`; where the trainer has none, it adds one.
    Stops through the host's own control, without a checkpoint or an evaluation.

    Args:
        settings: The whole `early_termination` block; what the plugin passes.
        push_terminated: Whether a stopped run may still be pushed to the hub.
        **keywords: The block's keys instead, such as `action="stop"` or
            `divergence={"patience": 50}`.

    Raises:
        SettingsError: Where an argument is not what it must be.
    """

    def __init__(
        self,
        *,
        settings: EarlyTerminationSettings | None = None,
        push_terminated: bool = False,
        **keywords: Any,
    ) -> None:
        self.settings = settings or early_termination_settings(**keywords)
        self.push_terminated = push_terminated
        self.stopped = False
        self._judge: Judge | None = None
        self._judged: JudgeState | None = None
        self._watch: Watch | None = None
        self._findings: list[Finding] = []

    @harmless
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Find the monitor and the reference, and replay what a resume goes on from."""
        trainer = _calling_trainer()
        monitor = _find(trainer, GradientMonitorCallback)
        if monitor is None:
            monitor = GradientMonitorCallback()
            trainer.add_callback(monitor)
        self.stopped = False
        self._watch = monitor.start(trainer)
        if self._watch is None:
            return
        self._watch.judge = self._hear
        self._findings = []
        compared = self._watch.baselines(self.settings)
        if compared.cohort is not None and compared.cohort.doubt is not None:
            self._tell_of_doubt(compared.cohort.doubt)
        self._judge = judge_of(self.settings, compared)
        self._judged = self._judge.step(self._judge.init(), self._watch.past)[0]

    @harmless
    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop where any rank wants to, and say why on the first."""
        if self._watch is None or self.stopped or not self._watch.stop:
            return
        stops = [f for f in self._findings if f.action == "stop"]
        self._stop(args, control, stops[0] if stops else None)

    def _hear(self, window: Sequence[Observation]) -> bool:
        """Judge the steps of one log: whether this rank wants to stop."""
        if self._judge is None or self._judged is None or self.stopped:
            return False
        self._judged, findings = self._judge.step(self._judged, window)
        self._findings = list(findings)
        for finding in self._findings:
            if finding.action == "warn":
                self._warn(finding)
        return any(finding.action == "stop" for finding in self._findings)

    @harmless
    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take back what the host would save or evaluate at the end of the epoch."""
        if self.stopped:
            control.should_save = control.should_evaluate = False

    @harmless
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Forget the training."""
        self._watch = self._judge = self._judged = None

    def _tell_of_doubt(self, doubt: str) -> None:
        if actions_of(self.settings)["cohort"] == "stop":
            say(f"the cohort rule only warns, because {doubt}")

    def _warn(self, finding: Finding) -> None:
        verdict = finding.verdict
        if self._watch is not None and self._watch.recorder is not None:
            self._watch.recorder.decision(_decision(finding))
            say(
                f"warning at step {verdict.step}, {verdict.rule}: {verdict.reason}. "
                f"To stop such runs: early_termination.{verdict.rule}.action: stop"
            )

    def _stop(self, args: Any, control: Any, finding: Finding | None) -> None:
        self.stopped = True
        control.should_training_stop = True
        control.should_save = control.should_evaluate = False
        if not self.push_terminated:
            args.push_to_hub = False
        watch = self._watch
        if finding is None or watch is None or watch.recorder is None:
            return
        verdict = finding.verdict
        watch.status = "terminated"
        watch.reason = f"{verdict.rule}: {verdict.reason}"
        watch.recorder.decision(_decision(finding))
        checkpoint = marker.last_good_checkpoint(watch.output_dir, verdict.bad_since)
        termination = marker.Termination(
            run_id=watch.run_id,
            rule=verdict.rule,
            reason=verdict.reason,
            step=verdict.step,
            samples_seen=verdict.samples_seen,
            bad_since=verdict.bad_since,
            last_good_checkpoint=checkpoint,
        )
        marked = marker.mark(watch.output_dir, termination)
        say(
            f"stopped at step {verdict.step} of {watch.trainer.state.max_steps} "
            f"({count(verdict.samples_seen)} samples) by {verdict.rule}: "
            f"{verdict.reason}. Last good checkpoint: {checkpoint or 'none'}. The "
            f"model that is saved now is not a finished one ({marked.name})"
        )


class HeldOutScoreCallback(TrainerCallback):  # type: ignore[misc]
    """Answers held-out questions before and after the training and records the score.

    Works beside a `GradientMonitorCallback`, and stands before it among the
    callbacks, so that the score is part of the run.

    Args:
        settings: The `score` block.
    """

    def __init__(self, settings: ScoreSettings) -> None:
        self.settings = settings
        self._questions: list[Question] = []
        self._base: float | None = None

    @harmless
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Score the base."""
        if not state.is_world_process_zero:
            return
        self._questions = load_questions(self.settings.data_path)
        if self.settings.base and state.global_step == 0:
            self._base = self._score(_calling_trainer())

    @harmless
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Score the tuned model, say both, and record them."""
        trainer = _calling_trainer()
        monitor = _find(trainer, GradientMonitorCallback)
        if not self._questions or not state.is_world_process_zero:
            return
        value = self._score(trainer)
        score = Score(self.settings.metric, value, "max", self._base)
        if monitor is not None and monitor.watch is not None:
            monitor.watch.recorder.score(score)
        beside = {"base": self._base, **self.settings.compare_with}
        shown = ", ".join(f"{name} {number(v)}" for name, v in beside.items())
        say(
            f"{self.settings.metric} {number(value)} on {len(self._questions)} "
            f"questions ({shown})"
        )

    def _score(self, trainer: Any) -> float:
        return score_exact_match(
            trainer.model,
            trainer.processing_class,
            self._questions,
            max_new_tokens=self.settings.max_new_tokens,
            batch_size=self.settings.batch_size,
        )


def _decision(finding: Finding) -> Decision:
    verdict = finding.verdict
    return Decision(
        rule=verdict.rule,
        action=finding.action,
        reason=verdict.reason,
        step=verdict.step,
        samples_seen=verdict.samples_seen,
        figures=verdict.figures,
        reference=verdict.reference,
    )


def _calling_trainer() -> Any:
    """The trainer whose event is being handled.

    transformers hands no trainer to its callbacks (its issue 38181); it stands two
    or three frames up, as the `self` of the method that fires the event.
    """
    frame = sys._getframe(1)
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, Trainer):
            return candidate
        frame = frame.f_back  # type: ignore[assignment]
    raise RuntimeError("this callback was called outside of a transformers Trainer")


def _find(trainer: Any, kind: type) -> Any:
    handlers = trainer.callback_handler.callbacks
    return next((c for c in handlers if isinstance(c, kind)), None)
