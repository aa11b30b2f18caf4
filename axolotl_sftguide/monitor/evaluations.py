"""The host's evaluations of one run: the rule on them, and the best checkpoint.

transformers deletes the oldest checkpoints beyond `save_total_limit`, except the one
that its state names as the best; it only names one if `metric_for_best_model` is set.
For the rule, the checkpoint of the best evaluation is named while a checkpoint is
saved, and only then: named at the end of a training with `save_total_limit: 1`,
transformers would delete the last checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..runs.marker import checkpoint_step
from ..stopping.judge import Finding
from ..stopping.rules import Evaluation, EvaluationPatience, Verdict
from . import evaluation_notices as notices
from .best_evaluation import Best
from .faults import Guard
from .wrapping import MethodWraps

_SPEEDS = ("_runtime", "_per_second", "_preparation_time")
"""How the names of what is no metric of the model end."""


class EvaluationWatch:
    """Applies the rule to the evaluations of one trainer.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        guard: Keeps errors of this class away from the training.
        rule: The rule.
        action: `warn` or `stop`.
        past: The evaluations before a resume.
        warn: Called with one line about something that the user should know.
    """

    on = True

    def __init__(
        self,
        trainer: Any,
        guard: Guard,
        rule: EvaluationPatience,
        action: str,
        past: Iterable[Evaluation],
        warn: Callable[[str], None],
    ) -> None:
        self._trainer = trainer
        self._guard = guard
        self._rule = rule
        self._action = action
        self._warn = warn
        self._wraps = MethodWraps()
        self._state, self._reported = rule.init(), False
        for evaluation in past:
            self._state, verdict = rule.step(self._state, evaluation)
            self._reported = self._reported or verdict is not None
        resumed_at = trainer.state.global_step
        self._saved = {s for s in self._on_disk() if s <= resumed_at}
        self._missing: int | None = 0
        self._seen: set[str] = set()

    def attach(self) -> None:
        """Keep the best checkpoint, unless the trainer does so itself."""
        if keeps_its_best(self._trainer) or not hasattr(
            self._trainer, "_save_checkpoint"
        ):
            return
        # From a checkpoint that was saved under this rule; see the module.
        if self._trainer.state.best_metric is None:
            self._trainer.state.best_model_checkpoint = None
        self._wraps.wrap(self._trainer, "_save_checkpoint", self._keeping)

    def detach(self) -> None:
        """Restore the trainer's own method."""
        self._wraps.undo()

    def saved(self) -> None:
        """Note that the trainer has saved a checkpoint."""
        self._saved.add(self._trainer.state.global_step)

    def standing(self) -> tuple[Finding, ...]:
        """The finding that stops a resumed run again: it holds in its past."""
        verdict = self._rule.verdict(self._state)
        if verdict is None or self._action != "stop":
            return ()
        return (Finding(verdict, "stop"),)

    def evaluated(
        self, samples_seen: int, metrics: Mapping[str, float]
    ) -> list[Finding]:
        """Take in one evaluation.

        Returns:
            The first finding of a run, unless nothing is left of the run to stop.
        """
        state = self._trainer.state
        value = metrics.get(self._rule.metric)
        if value is None:
            self._note_missing(metrics)
            return []
        self._missing = None
        evaluation = Evaluation(state.global_step, float(value), samples_seen)
        self._state, verdict = self._rule.step(self._state, evaluation)
        if verdict is None or self._reported or state.global_step >= state.max_steps:
            return []
        self._reported = True
        return [Finding(verdict, self._action)]

    def best_of(self, verdict: Verdict) -> Best | None:
        """What a run that the rule stopped leaves; None if another rule stopped it."""
        if verdict.rule != self._rule.name:
            return None
        # A save that is due at the evaluation of the verdict is not cancelled.
        due = verdict.step == self._trainer.state.global_step and self.last_is_finite
        return self._best(saving=due and bool(self._trainer.control.should_save))

    @property
    def last_is_finite(self) -> bool:
        """Whether the weights were sound at the last evaluation."""
        last = self._state.last
        return last is not None and math.isfinite(last.value)

    def report(self) -> str | None:
        """The line at the end of a run that was not stopped."""
        best = self._best(saving=False)
        if best is None:
            return None
        return notices.finished(best, self._trainer.state.global_step)

    def _best(self, *, saving: bool) -> Best | None:
        best = self._state.best
        if best is None:
            return None
        loaded = bool(self._trainer.args.load_best_model_at_end)
        checkpoint = self._nearest(saving=saving)
        return Best(self._rule.metric, best.value, best.step, checkpoint, loaded)

    def _keeping(self, save: Any, *args: Any, **kwargs: Any) -> Any:
        state = self._trainer.state
        before = state.best_model_checkpoint
        best = self._guard.call(lambda: self._nearest(saving=True), None)
        state.best_model_checkpoint = before or best
        try:
            return save(*args, **kwargs)
        finally:
            state.best_model_checkpoint = before

    def _nearest(self, *, saving: bool) -> str | None:
        """The checkpoint of this run that is nearest to its best evaluation."""
        best = self._state.best
        found = self._saved & self._on_disk()
        if saving:
            found.add(self._trainer.state.global_step)
        if best is None or not best.step or not found:
            return None
        step = min(found, key=lambda s: (abs(s - best.step), s))
        return str(self._folder() / f"checkpoint-{step}")

    def _on_disk(self) -> set[int]:
        steps = (checkpoint_step(p) for p in self._folder().glob("checkpoint-*"))
        return {step for step in steps if step is not None}

    def _folder(self) -> Path:
        """Where the trainer saves; as a path, it is spelt as transformers does."""
        trial = getattr(self._trainer, "_trial", None)
        return Path(self._trainer._get_output_dir(trial=trial))

    def _note_missing(self, metrics: Mapping[str, float]) -> None:
        """Warn once that no evaluation has the metric; each set is one evaluation."""
        names = {m for m in metrics if m.startswith("eval_")}
        names = {m for m in names if not m.endswith(_SPEEDS)}
        if self._missing is None or not names:
            return
        self._seen |= names
        self._missing += 1
        sets = self._trainer.eval_dataset
        if self._missing >= (len(sets) if isinstance(sets, dict) else 1):
            self._missing = None
            self._warn(notices.no_metric(self._rule.metric, sorted(self._seen)))


class NoEvaluations:
    """Stands in for the watch where the rule is off."""

    on = False
    last_is_finite = False

    def attach(self) -> None:
        """Do nothing."""

    def detach(self) -> None:
        """Do nothing."""

    def saved(self) -> None:
        """Do nothing."""

    def standing(self) -> tuple[Finding, ...]:
        """Nothing."""
        return ()

    def evaluated(
        self, samples_seen: int, metrics: Mapping[str, float]
    ) -> list[Finding]:
        """Nothing."""
        return []

    def best_of(self, verdict: Verdict) -> Best | None:
        """Nothing."""
        return None

    def report(self) -> str | None:
        """Nothing."""
        return None


def keeps_its_best(trainer: Any) -> bool:
    """Whether the trainer itself names its best checkpoint."""
    return trainer.args.metric_for_best_model is not None
