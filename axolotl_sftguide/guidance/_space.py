"""Writes recommended and unclear values as a search space for `sftguide sweep`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..config.yaml_edits import on_one_line
from ..evidence.effective_batch import KEY as BATCH_SIZE
from ._advice import Guidance, Unclear
from ._record import Record, as_number

_MOST = 6

_BATCH = (BATCH_SIZE, "gradient_accumulation_steps")

Trial = tuple[str, dict[str, Any]]


def trials(record: Record, guidance: Guidance) -> list[Trial]:
    """The run as it was, and one change at a time; at most six.

    Each trial has what it is for, and the values that it sets. Advice comes first.
    Only the run itself is left if nothing is advised or unclear.
    """
    changes = list(_changes(record, guidance))[: _MOST - 1]
    keys = dict.fromkeys(key for _, change in changes for key in change)
    base = {key: record.config.get(key) for key in keys}
    return [
        ("as it was", base),
        *((what, {**base, **change}) for what, change in changes),
    ]


def _changes(record: Record, guidance: Guidance) -> Iterator[Trial]:
    seen: list[Mapping[str, Any]] = []
    for advice in guidance.advice:
        if advice.edits and advice.changes_result:
            seen.append(advice.edits)
            yield f"advised: {_said(advice.edits)}", dict(advice.edits)
    for question in guidance.unclear:
        for value in question.alternatives:
            change = {question.key: value, **_as_many_samples(record, question, value)}
            if " " not in question.key and change not in seen:
                seen.append(change)
                yield f"unclear: {_said(change)}", change


def _as_many_samples(record: Record, question: Unclear, value: Any) -> dict[str, int]:
    """`max_steps`, changed with the batch so that as many samples are trained."""
    steps = as_number(record.config.get("max_steps"))
    now = as_number(question.now)
    if question.key not in _BATCH or not steps or not now or steps < 0:
        return {}
    return {"max_steps": max(1, round(steps * now / value))}


def _said(change: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key.rpartition('.')[2]} {on_one_line(v)}" for key, v in change.items()
    )


def as_space(
    record: Record, guidance: Guidance, *, study: str, config: str, path: str
) -> str:
    """The space as the text of a YAML file.

    Args:
        record: The run.
        guidance: What is said of it.
        study: The study of the trials.
        config: The config of the run.
        path: Where the file will be.
    """
    return "\n".join(_lines(trials(record, guidance), study, config, path)) + "\n"


def _lines(found: list[Trial], study: str, config: str, path: str) -> Iterator[str]:
    yield f"# {len(found)} configs: the run as it was, and one change at a time."
    yield "#"
    yield f"#   sftguide sweep {config} {path}"
    yield ""
    yield f"sftguide.study: {on_one_line(study)}"
    yield "_:"
    for what, values in found:
        yield f"  # {what}"
        for place, (key, value) in enumerate(values.items()):
            yield f"  {' ' if place else '-'} {key}: {on_one_line(value)}"
