"""The fields of a trace's records, and whether those that are there have their types.

A reader of a trace calculates with its numbers and looks up its texts. A later version
may add fields; they are left as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..config.validation import rules_of, shown

Whole: TypeAlias = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
"""A whole number that a database holds."""
Count: TypeAlias = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Moment: TypeAlias = Annotated[float, Field(ge=0, lt=1e11, allow_inf_nan=False)]
"""Seconds since 1970, until the year 5138."""
Figure: TypeAlias = float
"""A number; a text such as "NaN" is one too."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Run(_Record):
    id: str = ""
    name: str = ""
    study: str = ""
    key: str = ""
    key_fields: dict[str, Any] = Field(default_factory=dict)
    comparable: bool = True
    host: str = ""
    device: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    output_dir: str = ""
    hostname: str = ""
    process_id: Whole = 0
    process_started_at: Figure = 0.0
    started_at: Moment = 0.0
    max_steps: Whole = 0
    step: Count = 0


class _Resume(_Record):
    step: Count = 0
    run: _Run = _Run()


class _Decision(_Record):
    rule: str = ""
    action: str = ""
    reason: str = ""
    step: Count = 0
    samples_seen: Count = 0
    figures: dict[str, Any] = Field(default_factory=dict)
    reference: str | None = None
    signals: list[str] | None = None


class _Evaluation(_Record):
    step: Count = 0
    metrics: dict[str, Figure] = Field(default_factory=dict)


class _Score(_Record):
    metric: str = ""
    value: Figure = 0.0
    goal: Annotated[str, Field(pattern="^(max|min)$")] = "max"
    base_value: Figure | None = None
    examples: Count | None = None
    at: Moment | None = None


class _End(_Record):
    status: Annotated[
        str, Field(pattern="^(running|finished|terminated|parked|failed)$")
    ] = "finished"
    reason: str | None = None
    at: Moment = 0.0
    step_s: Figure | None = None


class _AtAStep(_Record):
    step: Count = 0


_EVENTS: Mapping[str, type[_Record]] = {
    "resume": _Resume,
    "decision": _Decision,
    "evaluation": _Evaluation,
    "score": _Score,
    "end": _End,
    "loss_by_source": _AtAStep,
    "held_out_loss_by_source": _AtAStep,
}


def fault_of_run(run: Mapping[str, Any]) -> str | None:
    """What is wrong with the fields of a run, in words; None if nothing is."""
    return _fault(_Run, run)


def fault_of_event(event: Mapping[str, Any]) -> str | None:
    """What is wrong with the fields of an event, in words; None if nothing is."""
    name = event.get("event")
    if not isinstance(name, str):
        return f"event must be a string, got {shown(name)}"
    return _fault(_EVENTS.get(name, _Record), event)


def _fault(model: type[_Record], record: Mapping[str, Any]) -> str | None:
    try:
        model.model_validate(dict(record))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        return f"{path} {rules_of([first])}, got {shown(first['input'])}"
    return None
