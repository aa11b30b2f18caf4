"""The moving limits of the divergence rule over a recorded run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..config.rule_settings import EarlyTerminationSettings
from ..signals import Observation
from .judge import judge_of
from .objectives import SUPERVISED, Objective
from .rules import Divergence


@dataclass(frozen=True, slots=True)
class Limit:
    """The limits after one step; None while the rule has no level."""

    step: int
    samples_seen: int
    loss: float | None
    grad_norm: float | None


def divergence_limits(
    settings: EarlyTerminationSettings,
    observations: Sequence[Observation],
    *,
    objective: Objective = SUPERVISED,
    max_steps: int | None = None,
    most: int = 100,
) -> list[Limit]:
    """The limits at up to `most` evenly spread steps; none if the rule is off.

    The steps are replayed through the rule itself.
    """
    judge = judge_of(settings, objective=objective, max_steps=max_steps)
    rule = next((r for r, _ in judge.rules if isinstance(r, Divergence)), None)
    if rule is None:
        return []
    every = max(1, -(-len(observations) // most))
    state, found = rule.init(), []
    for i, observation in enumerate(observations, start=1):
        state, _ = rule.step(state, observation)
        if i % every == 0 or i == len(observations):
            loss, norm = rule.limits(state, observation)
            found.append(Limit(observation.step, observation.samples_seen, loss, norm))
    return found
