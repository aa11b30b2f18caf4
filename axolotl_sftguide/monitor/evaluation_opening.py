"""Starts to watch a training's evaluations, if the rule on evaluations is on."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

from ..config.rule_settings import EarlyTerminationSettings
from ..stopping.evaluation import evaluation_rule
from ..stopping.objectives import Objective
from ..stopping.rules import Evaluation
from .evaluation_schedule import Schedule, remarks
from .evaluations import EvaluationWatch, NoEvaluations
from .faults import Guard
from .ranks import Ranks
from .resume import Resumed

logger = logging.getLogger(__name__)


def evaluation_watch(
    trainer: Any,
    settings: EarlyTerminationSettings,
    objective: Objective,
    resumed: Resumed,
    guard: Guard,
) -> EvaluationWatch | NoEvaluations:
    """The watch of a training that begins; says where the rule cannot act."""
    chosen = evaluation_rule(settings, objective)
    if chosen is None:
        return NoEvaluations()
    rule, action = chosen
    main = Ranks(trainer).main
    if main:
        for line in remarks(Schedule.of(trainer), rule):
            logger.warning(line)
    past = _past(trainer, resumed, rule.metric)
    warn = logger.warning if main else _not_here
    return EvaluationWatch(trainer, guard, rule, action, past, warn)


def _past(trainer: Any, resumed: Resumed, metric: str) -> Iterator[Evaluation]:
    """The evaluations before a resume: those of the trace, and of the checkpoint.

    The state in the checkpoint has them too, for a rank or a machine without the trace.
    """
    step = trainer.state.global_step
    values = {
        int(entry["step"]): entry[metric]
        for entry in trainer.state.log_history
        if metric in entry and entry.get("step", step + 1) <= step
    }
    for event in resumed.evaluations:
        if metric in event.get("metrics", {}):
            values[int(event["step"])] = event["metrics"][metric]
    for at in sorted(values):
        value = values[at]
        yield Evaluation(at, math.nan if value is None else float(value))


def _not_here(text: str) -> None:
    """The first rank warns of what all ranks see."""
