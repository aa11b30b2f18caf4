"""When a run is evaluated and saved, and what the rule on evaluations can do then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..stopping.rules import EvaluationPatience
from .evaluation_notices import RULE
from .evaluations import keeps_its_best
from .identity import host_name

_MANY = 20
"""Evaluations for each one of the patience, beyond which a run is ended too early."""


@dataclass(frozen=True)
class Schedule:
    """What a trainer's arguments say of its evaluations and its checkpoints."""

    host: str
    """`axolotl`, `trl` or `transformers`."""
    max_steps: int
    epochs: int
    sets: tuple[str, ...] | None = ("",)
    """The names of the evaluation sets, `""` for the only one; None without a set."""
    evaluates: str = "no"
    """`no`, `steps` or `epoch`."""
    eval_steps: int = 0
    eval_delay: float = 0
    on_start: bool = False
    eval_share: float | None = None
    """The steps between two evaluations as a share of the run, if so configured."""
    saves: str = "no"
    """`no`, `steps`, `epoch` or `best`."""
    save_steps: int = 0
    limit: int | None = None
    best_by: str | None = None
    """The trainer's `metric_for_best_model`."""
    greater_is_better: bool = False

    @classmethod
    def of(cls, trainer: Any) -> Schedule:
        """The schedule of a training that begins."""
        args, state = trainer.args, trainer.state
        data = trainer.eval_dataset
        named = tuple(map(str, data)) if isinstance(data, dict) else ("",)
        share = args.eval_steps if 0 < (args.eval_steps or 0) < 1 else None
        return cls(
            host=host_name(trainer),
            max_steps=state.max_steps,
            epochs=state.num_train_epochs,
            sets=None if data is None else named,
            evaluates=_word(args.eval_strategy),
            eval_steps=int(state.eval_steps or 0),
            eval_delay=args.eval_delay or 0,
            on_start=bool(args.eval_on_start),
            eval_share=share,
            saves=_word(args.save_strategy),
            save_steps=int(state.save_steps or 0),
            limit=args.save_total_limit,
            best_by=args.metric_for_best_model if keeps_its_best(trainer) else None,
            greater_is_better=bool(args.greater_is_better),
        )

    @property
    def before_the_end(self) -> int:
        """The evaluations before the last step; a later one has nothing to stop."""
        if self.evaluates == "epoch":
            later = self.epochs - 1 - int(self.eval_delay)
        else:
            every = max(self.eval_steps, 1)
            first = -(-int(self.eval_delay) // every) if self.eval_delay else 1
            later = (self.max_steps - 1) // every - max(first, 1) + 1
        return max(later, 0) + self.on_start

    @property
    def saves_each_evaluation(self) -> bool:
        """Whether a checkpoint is saved at every evaluation."""
        if self.saves == self.evaluates == "steps":
            return bool(self.save_steps) and self.eval_steps % self.save_steps == 0
        return self.saves in (self.evaluates, "best")


def _word(strategy: Any) -> str:
    return str(getattr(strategy, "value", strategy))


def remarks(schedule: Schedule, rule: EvaluationPatience) -> Iterator[str]:
    """What the user should know at the start, one line each; mostly nothing."""
    obstacle = _obstacle(schedule, rule)
    if obstacle is not None:
        yield obstacle
        return
    if schedule.before_the_end <= rule.patience:
        yield (
            f"{RULE} cannot end this run early: it is evaluated "
            f"{schedule.before_the_end} times before its last step, and patience "
            f"{rule.patience} needs {rule.patience + 1}. Lower {RULE}.patience, or "
            f"evaluate more often ({_more_often(schedule)})"
        )
    elif schedule.before_the_end > _MANY * rule.patience:
        yield (
            f"{RULE}.patience: {rule.patience} is short for a run that is evaluated "
            f"{schedule.before_the_end} times: runs of others often improved again "
            f"later (docs/evidence.md). Set it to {-(-schedule.before_the_end // 10)}, "
            "or evaluate less often"
        )
    other = _other_best(schedule, rule)
    if other is not None:
        yield other
    elif not schedule.saves_each_evaluation:
        yield _not_saved(schedule)


def _obstacle(schedule: Schedule, rule: EvaluationPatience) -> str | None:
    axolotl = schedule.host == "axolotl"
    if schedule.sets is None:
        remedy = (
            "Set val_set_size (such as 0.05) or test_datasets, and eval_steps"
            if axolotl
            else "Pass eval_dataset to the trainer and set eval_strategy and eval_steps"
        )
        return f"{RULE} cannot act: the run has no evaluation set. {remedy}"
    if schedule.evaluates == "no":
        remedy = (
            "Set eval_steps, evals_per_epoch or eval_strategy: epoch"
            if axolotl
            else 'Set eval_strategy="steps" and eval_steps, or eval_strategy="epoch"'
        )
        return f"{RULE} cannot act: the run is never evaluated. {remedy}"
    starts = [f"eval_{name}_" for name in schedule.sets if name]
    if starts and not rule.metric.startswith(tuple(starts)):
        names = ", ".join(f"{start}loss" for start in starts)
        return (
            f"{RULE} cannot act: there are several evaluation sets, and none reports "
            f"{rule.metric}. Set {RULE}.metric to that of one set, such as {names}"
        )
    return None


def _more_often(schedule: Schedule) -> str:
    if schedule.host == "axolotl":
        return "eval_steps or evals_per_epoch"
    return 'eval_strategy="steps" and eval_steps'


def _other_best(schedule: Schedule, rule: EvaluationPatience) -> str | None:
    """The trainer keeps the best checkpoint by another metric than the rule's."""
    if schedule.best_by is None or not schedule.limit:
        return None
    kept = f"eval_{schedule.best_by.removeprefix('eval_')}"
    if kept == rule.metric and schedule.greater_is_better == (rule.goal == "max"):
        return None
    better = "highest" if schedule.greater_is_better else "lowest"
    return (
        f"{RULE}: the trainer keeps the checkpoint with the {better} {kept} "
        f"(metric_for_best_model), and save_total_limit: {schedule.limit} may delete "
        f"the one with the best {rule.metric}. Set metric_for_best_model: {rule.metric}"
        f" and greater_is_better: {str(rule.goal == 'max').lower()}"
    )


def _not_saved(schedule: Schedule) -> str:
    """Some evaluations have no checkpoint."""
    if schedule.evaluates == "epoch":
        evaluated = "after each epoch"
        remedy: dict[str, str | int] = {"save_strategy": "epoch"}
    else:
        evaluated = f"every {schedule.eval_steps} steps"
        remedy = {"save_strategy": "steps", "save_steps": schedule.eval_steps}
    if schedule.host == "axolotl":
        setting = ", ".join(f"{key}: {value}" for key, value in remedy.items())
        if schedule.eval_share is not None:
            setting = "saves_per_epoch to the value of evals_per_epoch"
        if schedule.evaluates == "epoch" and schedule.saves == "steps":
            setting += " without save_steps and saves_per_epoch"
    else:
        setting = ", ".join(f"{key}={value!r}" for key, value in remedy.items())
    if schedule.saves == "no":
        return (
            f"{RULE} cannot keep the best checkpoint: none is saved. To keep it, set "
            f"{setting}"
        )
    saved = (
        "after each epoch"
        if schedule.saves == "epoch"
        else f"every {schedule.save_steps} steps"
    )
    return (
        f"{RULE} cannot always keep the best checkpoint: the run is evaluated "
        f"{evaluated} and saved {saved}, and the checkpoint nearest to the best "
        f"evaluation is kept. To save one at each evaluation, set {setting}"
    )
