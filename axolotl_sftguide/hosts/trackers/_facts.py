"""The data of a run that are sent to trackers, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...runs.history import Decision, Score, Status

Level = Literal["INFO", "WARN", "ERROR"]

_VERBS = {"warn": "warned", "stop": "stopped", "park": "parked"}
_LEVELS: dict[str, Level] = {"warn": "WARN", "stop": "ERROR", "park": "INFO"}
_STATUS = {"stop": "terminated", "park": "parked"}


@dataclass(frozen=True)
class Alert:
    """A message about a run, which is sent once."""

    title: str
    text: str
    level: Level
    step: int


def of_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that identify the run in the run history."""
    return {
        "sftguide/run_id": run["id"],
        "sftguide/study": run["study"],
        "sftguide/comparability_key": run["key"],
    }


def alert_of(decision: Decision, step: int) -> Alert:
    """A rule's decision as a message."""
    verb = _VERBS.get(decision.action, decision.action)
    title = f"sftguide: {verb} by {decision.rule} at step {step}"
    level = _LEVELS.get(decision.action, "WARN")
    return Alert(title, decision.reason, level, step)


def of_stop(decision: Decision, step: int, max_steps: int) -> dict[str, Any]:
    """Which rule ended the run, when and why.

    A run that is parked goes on to its next checkpoint, and may be resumed.
    """
    facts: dict[str, Any] = {
        "sftguide/status": _STATUS.get(decision.action, decision.action),
        "sftguide/stopped_by": decision.rule,
        "sftguide/reason": decision.reason,
    }
    if decision.action == "stop":
        facts["sftguide/stopped_at_step"] = step
        facts["sftguide/steps_saved"] = max(0, max_steps - step)
    return facts


def of_score(score: Score) -> dict[str, float]:
    """A score and, where it was measured, the score before training."""
    numbers = {f"sftguide/score/{score.metric}": score.value}
    if score.base_value is not None:
        numbers[f"sftguide/score/{score.metric}_before_training"] = score.base_value
    return numbers


def of_end(status: Status, reason: str | None) -> dict[str, Any]:
    """How the run ended; the reason of a stop was sent before."""
    facts: dict[str, Any] = {"sftguide/status": status}
    if status == "failed" and reason:
        facts["sftguide/reason"] = reason
    return facts
