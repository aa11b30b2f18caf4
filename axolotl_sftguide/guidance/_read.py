"""Reads the record of a run from the history and the trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..config.differences import flatten, setting_of
from ..errors import PlanError, TraceError
from ..planning import find_model, plan_memory
from ..runs.history import Run, Score, best_shared_metric
from ..runs.traces import MEMORY_EVENT, Trace, read_trace
from ..signals import Point
from ..signals.comparability import effective_batch_size, forecast_key
from ..signals.noise_scale import estimate
from ..signals.sources import HELD_OUT_EVENT, TRAINING_EVENT, held_out, read_events
from ..stopping.objectives import REINFORCEMENT
from ._record import (
    AXOLOTL,
    TRL,
    Cut,
    Ending,
    Goal,
    Memory,
    Other,
    Record,
    Result,
    goal_of,
)


def read_record(
    run: Run,
    points: Sequence[Point],
    study: Sequence[Run],
    *,
    metric: str | None = None,
    goal: Goal | None = None,
    gpu_bytes: int | None = None,
    cut: tuple[Cut, ...] | None = None,
) -> Record:
    """The record of a run, and of the comparable runs in its study.

    Args:
        run: The run.
        points: Its curve in the history, for a run whose trace is gone.
        study: The runs of its study.
        metric: The score to compare by; by default the first one of the run.
        goal: What the model is tuned for; by default it is read from the metric.
        gpu_bytes: The memory of the GPU.
        cut: The rows that are longer than the sequence length, if they were counted.
    """
    trace = _trace_of(run)
    observations = trace.observations if trace else ()
    events = trace.events if trace else ()
    fields = run.key_fields
    score = run.score(metric)
    metric = metric or (score.metric if score else best_shared_metric(study))
    data = fields.get("data")
    rows = data.get("rows") if isinstance(data, Mapping) else None
    trained = read_events(events, TRAINING_EVENT)
    # A loss of reinforcement learning shows no progress, held out or not.
    reinforced = fields.get("objective") == REINFORCEMENT.name
    losses = [(o.step, o.loss) for o in observations]
    if not losses:
        every = max(1, run.step // max(1, len(points)))
        losses = [(every * (i + 1), point.loss) for i, point in enumerate(points)]
    return Record(
        config=_config_of(run),
        status=run.shown_status,
        reason=run.reason or "",
        host=run.host,
        training=_training(fields),
        parameters=_number(fields.get("parameters")),
        rows=_number(rows),
        samples=effective_batch_size(fields),
        step=run.step,
        max_steps=run.max_steps,
        epochs=run.samples_seen / rows if rows else None,
        losses=tuple(losses),
        evaluations=() if reinforced else tuple(_evaluations(events)),
        setting=setting_of(run.config),
        result=None if score is None else _result(score),
        endings=tuple(
            Ending(d.rule, d.action, d.reason, d.step, d.signals) for d in run.decisions
        ),
        sources=tuple(held_out(read_events(events, HELD_OUT_EVENT))),
        source_names=tuple(dict.fromkeys(n for part in trained for n in part.loss)),
        noise=estimate(observations),
        memory=_memory(run, events, gpu_bytes),
        cut=cut,
        others=tuple(_others(run, study, metric)),
        goal=goal or (goal_of(score.metric) if score else None),
        device=run.device or "",
        seconds=run.step_s * run.step if run.step_s else None,
        traced=trace is not None,
        names=AXOLOTL if run.host == "axolotl" else TRL,
    )


def _training(fields: Mapping[str, Any]) -> str:
    """`full` or `adapter` for supervised fine-tuning, which the claims are about."""
    adapter = fields.get("adapter")
    if fields.get("objective") or "adapter" not in fields:
        return ""
    if not adapter:
        return "full"
    kind = adapter.get("peft_type") if isinstance(adapter, Mapping) else "LORA"
    return "adapter" if str(kind).rpartition(".")[2] == "LORA" else ""


def _trace_of(run: Run) -> Trace | None:
    try:
        return read_trace(run.trace_path) if run.trace_path else None
    except TraceError:
        return None


def _config_of(run: Run) -> dict[str, Any]:
    """The run's config by dotted key; what is None is left out."""
    flat = flatten(run.config)
    return {key: value for key, value in flat.items() if value is not None}


def _evaluations(events: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, float]]:
    """The held-out loss at each evaluation of the host, each step once."""
    found: dict[int, float] = {}
    for event in events:
        metrics = event.get("metrics") if event["event"] == "evaluation" else None
        loss = metrics.get("eval_loss") if isinstance(metrics, Mapping) else None
        if loss is not None:
            found[int(event.get("step", 0))] = float(loss)
    return sorted(found.items())


def _result(score: Score) -> Result:
    higher = score.goal == "max"
    return Result(score.metric, score.value, higher, score.examples, score.base_value)


def _others(run: Run, study: Sequence[Run], metric: str | None) -> Iterable[Other]:
    """The finished runs with the same model, data, objective and metric."""
    own = forecast_key(run.key_fields)
    if metric is None or own is None:
        return
    for other in study:
        theirs = other.score(metric)
        if other.id == run.id or theirs is None or other.status != "finished":
            continue
        if forecast_key(other.key_fields) != own:
            continue
        yield Other(
            other.name,
            setting_of(other.config),
            _config_of(other),
            _result(theirs),
            effective_batch_size(other.key_fields),
        )


def _memory(
    run: Run, events: Iterable[Mapping[str, Any]], gpu_bytes: int | None
) -> Memory | None:
    peaks = [
        event.get("peak_bytes") for event in events if event["event"] == MEMORY_EVENT
    ]
    known = [peak for peak in peaks if isinstance(peak, int)]
    if not known or run.device in (None, "cpu"):
        return None
    return Memory(max(known), gpu_bytes, _row_bytes(run))


def _row_bytes(run: Run) -> int | None:
    """What one more row of the micro batch takes, by the plan."""
    config = run.config
    micro = config.get("micro_batch_size")
    model = find_model(str(config.get("base_model", "")))
    if run.host != "axolotl" or model is None or not isinstance(micro, int):
        return None
    ranks = run.key_fields.get("ranks")
    gpus = ranks if isinstance(ranks, int) and ranks > 0 else 1
    try:
        one, two = (
            plan_memory({**config, "micro_batch_size": n}, model, gpus=gpus).peak_bytes
            for n in (micro, 2 * micro)
        )
    except PlanError:
        return None
    return max(0, two - one) // micro


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
