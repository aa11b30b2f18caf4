"""`sftguide runs show`: outcome, settings and files of one run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..config.differences import flatten, varied_keys
from ..config.training_kind import training_kind
from ..errors import TraceError
from ..runs.history import Run, RunHistory
from ..runs.marker import latest_checkpoint
from ..runs.redaction import json_safe
from ..runs.score_intervals import examples_of
from ..runs.traces import Trace, read_trace
from ..safe_text import masked
from ..signals import Observation, Point
from ..signals.comparability import effective_batch_size
from ..signals.noise_scale import estimate
from ..units import count, duration, number, share
from .source_facts import source_facts
from .sparkline import sparkline
from .tables import console, label, score_beside, seconds_of, shown, status_of

Fact = tuple[str, str]


_MOST_BESIDE = 200
"""Runs of the study whose configs are compared; those of thousands take seconds."""


def print_run(
    history: RunHistory,
    run: Run,
    *,
    with_key: bool = False,
    with_config: bool = False,
) -> None:
    """Print the outcome, the settings and the files of one run.

    Args:
        history: The history with the run.
        run: The run.
        with_key: Whether to print the fields of the comparability key.
        with_config: Whether to print the whole configuration.
    """
    points = history.points(run.id)
    beside = history.runs(study=run.study, newest=_MOST_BESIDE)
    whole = len(beside) < _MOST_BESIDE or history.count(study=run.study) == len(beside)
    who = f"the {len(beside)}{'' if whole else ' newest'} runs of the study"
    out = console()
    out.print(f"[bold]{escape(run.name)}[/] {status_of(run)} {_outcome(run)}")
    if run.reason and not any(d.action in ("stop", "park") for d in run.decisions):
        out.print(escape(masked(run.reason)))
    for facts in (_went(run, points, out), _was(run, beside, who)):
        out.print()
        out.print(_grid(facts))
    out.print()
    for name, value in _is_at(run):  # whole lines: a wrapped path cannot be copied
        out.print(f"[bold]{name:<14}[/] {value}", highlight=False, soft_wrap=True)
    if with_key:
        out.print("\n[bold]comparability key[/]")
        fields = {"key": run.key, "comparable": run.comparable, **run.key_fields}
        out.print(_grid((name, shown(value, 200)) for name, value in fields.items()))
    if with_config:
        out.print("\n[bold]config[/]")
        text = yaml.safe_dump(json_safe(run.config), sort_keys=True)
        out.print(escape(text), highlight=False, soft_wrap=True)


def curve_facts(steps: Sequence[Observation | Point], out: Console) -> Iterator[Fact]:
    """Loss and gradient norm: first and last value, and the curve between."""
    drawable = "utf" in out.encoding.lower()
    for name, values in (
        ("loss", [step.loss for step in steps]),
        ("gradient norm", [step.grad_norm for step in steps]),
    ):
        if values:
            line = f"{number(values[0])} to {number(values[-1])}"
            yield name, f"{line:<20} {sparkline(values) if drawable else ''}".rstrip()


def held_out_fact(trace: Trace, out: Console) -> Iterator[Fact]:
    """The loss on the host's evaluation set: first, last and lowest."""
    found = [
        (int(event.get("step") or 0), float(event["metrics"]["eval_loss"]))
        for event in trace.events
        if event["event"] == "evaluation" and "eval_loss" in event.get("metrics", {})
    ]
    if not found:
        return
    losses = [loss for _, loss in found]
    line = f"{number(losses[0])} to {number(losses[-1])}"
    if "utf" in out.encoding.lower():
        line = f"{line:<20} {sparkline(losses)}".rstrip()
    step, lowest = min(found, key=lambda each: each[1])
    if lowest < losses[-1]:
        line += f"  lowest {number(lowest)} at step {count(step)}"
    yield "held-out loss", line


def noise_scale_fact(observations: Sequence[Observation]) -> Iterator[Fact]:
    """The gradient noise scale, if the run measured it."""
    found = estimate(observations)
    if found is None:
        return
    if found.withheld is not None:
        yield "noise scale", f"not known: {found.withheld}"
        return
    low, batch = _samples(found.simple_low), _samples(found.batch_size)
    step = f"a step has {batch}"
    if math.isinf(found.simple_high):
        yield "noise scale", f"above {low} samples; {step}"
    else:
        between = f"95% interval {low} to {_samples(found.simple_high)}"
        yield "noise scale", f"{_samples(found.simple)} samples ({between}); {step}"


def observations_of(run: Run) -> tuple[Observation, ...]:
    """The steps in the run's trace; none if it cannot be read."""
    trace = _trace_of(run)
    return trace.observations if trace else ()


def _trace_of(run: Run) -> Trace | None:
    try:
        return read_trace(run.trace_path) if run.trace_path else None
    except TraceError:
        return None


def _outcome(run: Run) -> str:
    took = duration(seconds_of(run))
    saved = run.steps_saved
    so_far = " so far" if run.status == "parked" else ""
    part = share(saved, run.max_steps)
    rest = f", {count(saved)} saved{so_far} ({part})" if saved else ""
    return f"at step {count(run.step)} of {count(run.max_steps)} after {took}{rest}"


def _went(run: Run, points: Sequence[Point], out: Console) -> Iterator[Fact]:
    trace = _trace_of(run)
    observations = trace.observations if trace else ()
    for score in run.scores:
        beside = [f"{n} {number(value)}" for n, value in score_beside(run, score)]
        beside += examples_of(score)
        text = f"{score.metric} {number(score.value)}"
        yield "score", escape(text + (f" ({', '.join(beside)})" if beside else ""))
    yield from curve_facts(observations or points, out)
    if trace is not None:
        yield from held_out_fact(trace, out)
        yield from source_facts(trace, out)
    yield from noise_scale_fact(observations)
    for decision in run.decisions:
        at = f"step {count(decision.step)} ({count(decision.samples_seen)} samples)"
        yield (
            decision.shown_action,
            escape(f"{at}, rule {decision.rule}: {masked(decision.reason)}"),
        )
    if not run.decisions:
        yield "warnings", "none"
    yield "seen", f"{count(run.samples_seen)} samples{_pace(run)}"


def _was(run: Run, beside: Sequence[Run], who: str) -> Iterator[Fact]:
    fields, config = run.key_fields, flatten(run.config)
    yield "model", escape(str(fields.get("base_model") or config.get("base_model")))
    yield "training", escape(training_kind(fields, config))
    yield "optimizer", escape(_optimizer(config))
    batch = _batch(fields, run)
    if batch:
        yield "batch", batch
    data = fields.get("data")
    if isinstance(data, dict) and data.get("rows"):
        length = fields.get("sequence_len")
        packed = ", packed" if fields.get("packing") else ""
        most = f", sequence_len {length}" if length else ""
        yield "data", f"{count(data['rows'])} rows{most}{packed}"
    # The configs of another host have other keys.
    beside = [one for one in beside if one.host == run.host]
    varied = varied_keys([one.config for one in beside])
    if len(beside) > 1 and varied:
        values = ", ".join(f"{label(k)} {shown(config.get(k))}" for k in varied[:6])
        more = f" and {len(varied) - 6} more keys" if len(varied) > 6 else ""
        yield "varied", f"{values}{more} ({who} differ here)"


def _is_at(run: Run) -> Iterator[Fact]:
    yield "run", f"{escape(run.id)} in study {escape(run.study)}"
    if run.tags:
        yield "tags", escape(", ".join(run.tags))
    yield "started", f"{datetime.fromtimestamp(run.started_at):%Y-%m-%d %H:%M:%S}"
    yield "output", escape(run.output_dir)
    yield "trace", escape(run.trace_path or "none")
    checkpoint = latest_checkpoint(run.output_dir) if run.status == "parked" else None
    if checkpoint is not None:
        yield "checkpoint", escape(checkpoint)


def _optimizer(config: dict[str, Any]) -> str:
    def first(*keys: str) -> Any:
        return next((config[key] for key in keys if config.get(key) is not None), None)

    rate = first("learning_rate")
    schedule = first("lr_scheduler", "lr_scheduler_type")
    parts = [
        shown(first("optimizer", "optim"), 40),
        f"learning rate {shown(rate)}",
        *([f"schedule {schedule}"] if schedule is not None else []),
        *([f"seed {config['seed']}"] if config.get("seed") is not None else []),
    ]
    return ", ".join(part for part in parts if part != "-")


def _batch(fields: dict[str, Any], run: Run) -> str | None:
    size = effective_batch_size(fields)
    if size is None:
        return None
    micro, accumulation, ranks = (
        fields[name]
        for name in ("micro_batch_size", "gradient_accumulation_steps", "ranks")
    )
    across = f" x {ranks} ranks" if ranks > 1 else ""
    what = "sample"
    if fields.get("packing") and run.step:
        what = "packed sequence"
        across += f", about {number(run.samples_seen / run.step, 3)} samples"
    plural = "s" * (size != 1)
    return (
        f"{count(size)} {what}{plural} = {micro} x {accumulation} accumulated{across}"
    )


def _pace(run: Run) -> str:
    if run.step_s is None or run.samples_per_s is None:
        return ""
    on = f" on {escape(run.device)}" if run.device else ""
    pace = f"{number(run.step_s, 3)} s per step"
    return f", {pace}, {number(run.samples_per_s, 3)} samples/s{on}"


def _samples(value: float) -> str:
    return f"{value:.0f}" if value < 100 else f"{float(f'{value:.2g}'):,.0f}"


def _grid(facts: Any) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True, min_width=13)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, value)
    return table
