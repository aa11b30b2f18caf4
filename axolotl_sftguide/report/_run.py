"""One run as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..config.differences import flatten
from ..config.training_kind import training_kind
from ..runs.history import Run, Score
from ..runs.score_intervals import examples_of
from ..signals.comparability import BATCH_FIELDS, effective_batch_size
from . import _curves, _files
from ._curves import Material
from ._thin import rounded
from ._words import found_by, reason_of, stopping_rule

_LONGEST = 300
"""The most characters of a config value that are shown."""

_LONGEST_REASON = 1500
"""The most characters of a reason that are shown."""


@dataclass(frozen=True)
class Frame:
    """What all runs of a report share."""

    labels: Mapping[str, str]
    keys: Sequence[str]
    """The dotted keys that the configs differ in."""
    metric: str | None
    by_steps: bool
    """Whether curves are over steps, as some run has no count of samples."""
    most_points: int
    """Points of one curve."""
    mean_points: int
    """Points of one smoothed curve."""
    smooth: bool
    """Whether to add smoothed curves."""
    many: bool
    """Whether there are so many runs that each has fewer details."""


def run_values(material: Material, frame: Frame, *, limits: bool) -> dict[str, Any]:
    """A run with its outcome, settings and curves.

    Args:
        material: What is recorded of it.
        frame: What all runs of the report share.
        limits: Whether to replay the divergence rule for its limits.
    """
    run, by_steps = material.run, frame.by_steps
    most = max(12, frame.most_points // 8)
    curves = _curves.step_curves(
        material,
        by_steps,
        frame.most_points,
        means=frame.mean_points if frame.smooth else 0,
    )
    found: dict[str, Any] = {
        **_outcome(run, frame),
        **_settings(run, frame),
        **curves,
        "gaps": sum(not o.finite for o in material.observations),
        "verdicts": [_verdict(d, by_steps) for d in run.decisions],
        "sources": _curves.source_curves(material, by_steps, most, means=frame.many),
        "evaluations": _curves.evaluation_curves(material, by_steps, most),
        "noise": _curves.noise(material, by_steps, over=not frame.many),
    }
    if limits and curves["curves"]:
        found["limits"] = _curves.limit_curves(material, by_steps)
    if material.trace is None:
        found["no_trace"] = bool(run.trace_path)
    return {key: value for key, value in found.items() if value not in ({}, [])}


def checked(material: Material) -> dict[str, Any]:
    """What `check` and `plan` say of the config that the run was started with.

    The planned memory comes with the measured peak, if the run has recorded it.
    """
    run = material.run
    written = _files.written_config(run)
    if written is None:
        return {}
    config, text = written
    found: dict[str, Any] = {"findings": _files.findings(run, config, text)}
    memory = _files.planned_memory(run, config)
    if memory is not None:
        found["memory"] = {**memory, "measured": material.peak_bytes}
    return found


def _outcome(run: Run, frame: Frame) -> dict[str, Any]:
    score = run.score(frame.metric)
    ended = run.ended_at or run.heartbeat_at
    return {
        "id": run.id,
        "label": frame.labels[run.id],
        "study": run.study,
        "status": run.shown_status,
        "rule": stopping_rule(run),
        "reason": _short(run.reason or "", _LONGEST_REASON),
        "step": run.step,
        "max_steps": run.max_steps,
        "saved": run.steps_saved,
        "samples": run.samples_seen,
        "score": None if score is None else rounded(score.value, 6),
        "score_origin": None if score is None else score.origin,
        "scores": [_score(one) for one in run.scores],
        "started": _time(run.started_at),
        "seconds": rounded(max(0.0, ended - run.started_at)),
        "step_s": rounded(run.step_s),
        "device": run.device,
        "host": run.host,
        "output": run.output_dir,
        "tags": list(run.tags),
    }


def _settings(run: Run, frame: Frame) -> dict[str, Any]:
    config = flatten(run.config)
    fields = run.key_fields
    rate = config.get("learning_rate")
    data = fields.get("data")
    return {
        "values": [_plain(config.get(key)) for key in frame.keys],
        "rate": rate if _is_number(rate) else None,
        "batch": effective_batch_size(fields),
        "batch_of": [fields.get(name) for name in BATCH_FIELDS],
        "model": _short(str(fields.get("base_model") or config.get("base_model"))),
        "adapter": training_kind(fields, config),
        "optimizer": _plain(config.get("optimizer") or config.get("optim")),
        "schedule": _plain(
            config.get("lr_scheduler") or config.get("lr_scheduler_type")
        ),
        "rows": data.get("rows") if isinstance(data, Mapping) else None,
        "sequence_len": fields.get("sequence_len"),
        "packing": bool(fields.get("packing")),
    }


def _verdict(decision: Any, by_steps: bool) -> dict[str, Any]:
    figures = {
        name: rounded(value)
        for name, value in decision.figures.items()
        if _is_number(value)
    }
    return {
        "rule": decision.rule,
        "found": found_by(decision),
        "action": decision.action,
        "reason": _short(reason_of(decision), _LONGEST_REASON),
        "step": decision.step,
        "samples": decision.samples_seen,
        "x": decision.step if by_steps else decision.samples_seen,
        "figures": figures,
        "signals": list(decision.signals),
    }


def _score(score: Score) -> dict[str, Any]:
    return {
        "metric": score.metric,
        "value": rounded(score.value, 6),
        "goal": score.goal,
        "origin": score.origin,
        "base": rounded(score.base_value, 6),
        "examples": ", ".join(examples_of(score)),
    }


def _plain(value: Any) -> Any:
    """A value of a config as a JSON value; numbers stay numbers."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return _short(str(value))


def _is_number(value: Any) -> bool:
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return numeric and math.isfinite(value)


def _short(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M} UTC"
