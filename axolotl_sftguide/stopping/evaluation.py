"""The rule on the host's evaluations: built from the settings, with its action."""

from __future__ import annotations

from ..config.rule_settings import EarlyTerminationSettings
from .objectives import ORDER, SUPERVISED, Objective
from .rules import EvaluationPatience


def evaluation_rule(
    settings: EarlyTerminationSettings, objective: Objective = SUPERVISED
) -> tuple[EvaluationPatience, str] | None:
    """The rule with its action; None if it is off.

    Where the loss is no measure of progress, a held-out loss is none either, and the
    rule only warns; on another metric, such as a reward, it may stop.
    """
    block = settings.evaluation
    if block is None or block.action == "off":
        return None
    metric = (
        block.metric if block.metric.startswith("eval_") else f"eval_{block.metric}"
    )
    action: str = block.action
    if "loss" in metric and not objective.loss_shows_progress:
        action = min(action, "warn", key=ORDER.index)
    rule = EvaluationPatience(
        metric, block.patience, block.min_delta, block.goal or "min"
    )
    return rule, action
