"""The messages of the rule on evaluations: pure functions from values to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..runs.marker import checkpoint_step
from ..units import count, number

if TYPE_CHECKING:
    from ..stopping.rules import Verdict
    from .best_evaluation import Best

RULE = "early_termination.evaluation"


def stopped(
    verdict: Verdict,
    best: Best,
    *,
    step: int,
    max_steps: int,
    samples_seen: int,
    marker: str,
) -> str:
    """The rule has ended the run."""
    found = "" if verdict.step == step else f", found at step {verdict.step}"
    if best.loaded:
        last = "The trainer loads its own best checkpoint now"
    elif best.step == step:
        last = "The model that is saved now is that of the best evaluation"
    else:
        last = f"The model that is saved now is that of step {step}, not the best one"
    return (
        f"stopped at step {step} of {max_steps} ({count(samples_seen)} samples) by "
        f"{verdict.rule}{found}: {verdict.reason}. {_where(best)}. {last}; {marker} "
        "marks it"
    )


def finished(best: Best, last_step: int) -> str:
    """The best evaluation of a run that was not stopped."""
    text = (
        f"best {best.metric}: {number(best.value)} at step {best.step} of {last_step}"
    )
    return f"{text}. {_where(best)}"


def _where(best: Best) -> str:
    if not best.step:
        return "That is the model before the first step: training has not improved it"
    if best.checkpoint is None:
        return f"No checkpoint is near the best evaluation (step {best.step})"
    distance = (checkpoint_step(best.checkpoint) or 0) - best.step
    if not distance:
        return f"Best checkpoint: {best.checkpoint}"
    steps = f"{abs(distance)} step{'s' * (abs(distance) > 1)}"
    side = "after" if distance > 0 else "before"
    return (
        f"No checkpoint was saved at the best evaluation (step {best.step}); the "
        f"nearest is {best.checkpoint}, {steps} {side} it"
    )


def no_metric(metric: str, reported: Sequence[str]) -> str:
    """No evaluation reports the metric."""
    return (
        f"{RULE} cannot act: {metric} is not among the metrics of the evaluation. "
        f"Set {RULE}.metric to one of: {', '.join(reported)}"
    )
