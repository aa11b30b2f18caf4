"""All that a page shows, as plain JSON values."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from .. import __version__
from ..config.differences import NO_SETTING, flatten, varied_keys
from ..errors import TraceError
from ..runs.history import Run, RunHistory, chosen_metric
from ..runs.redaction import json_safe
from ..runs.traces import Trace, read_trace
from ..runs.trainer_states import ID_PREFIX, find_trainer_states, read_trainer_state
from ._curves import Material
from ._prediction import predictions, taking_part
from ._run import Frame, checked, run_values
from ._scores import best_of, labels, unequal_samples
from ._words import STATUS, glance

_POINTS = 240_000
"""Points of all curves together; the page has to stay below 5 MB."""

_MOST_POINTS = 1600
"""Points of one curve: two for each of 800 columns of a screen."""

_MEAN_POINTS = 100
"""Points of one smoothed curve."""

_LEAST_POINTS = 24
"""Points of one curve, however many runs there are."""

_LIMIT_STEPS = 60_000
"""Optimizer steps that are replayed for limits, about ten seconds of work."""

_MOST_KEYS = 12
"""Settings that are shown for each run."""

_MANY_CURVES = 8
"""With more runs, noisy curves hide one another: smoothed ones are added."""

_MANY_RUNS = 100
"""With more runs, configs are not checked, and noise scales are those at the end."""


def view_of(
    history: RunHistory,
    runs: Sequence[Run],
    *,
    on_run: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """What a report on some runs shows.

    Args:
        history: The history that holds the runs.
        runs: The runs, at least one.
        on_run: Called after each run, to show progress.

    Returns:
        Plain JSON values without secrets.
    """
    runs = [_without_secrets(run) for run in runs]
    metric = chosen_metric(runs)
    keys = _keys(runs)
    by_steps = not all(run.samples_seen > 0 for run in runs if run.step)
    each = _POINTS // (2 * len(runs))
    frame = Frame(
        labels=labels(runs),
        keys=keys,
        metric=metric,
        by_steps=by_steps,
        most_points=max(_LEAST_POINTS, min(_MOST_POINTS, each)),
        mean_points=max(_LEAST_POINTS, min(_MEAN_POINTS, each // 2)),
        smooth=len(runs) > _MANY_CURVES,
        many=len(runs) > _MANY_RUNS,
    )
    replayed = _with_limits(runs, metric)
    shown = []
    for run in runs:
        material = _material(history, run)
        values = run_values(material, frame, limits=run.id in replayed)
        if not frame.many:
            values |= checked(material)
        shown.append(values)
        on_run()
    _add_predictions(shown, history, runs, metric)
    found = best_of(runs, metric)
    return {
        "form": 1,
        "version": __version__,
        "made": f"{datetime.fromtimestamp(time.time(), timezone.utc):%Y-%m-%d %H:%M} "
        "UTC",
        "studies": list(dict.fromkeys(run.study for run in runs)),
        "glance": glance(runs, metric, keys),
        "unequal": unequal_samples(runs),
        "statuses": _counts(runs),
        "metric": metric,
        "goal": None if found is None else found[1].goal,
        "best": None if found is None else found[0].id,
        "saved": sum(run.steps_saved for run in runs),
        "planned": sum(run.max_steps for run in runs),
        "x": "optimizer steps" if by_steps else "samples seen",
        "keys": [{"key": key, "label": _label(key, keys)} for key in keys],
        "status_words": STATUS,
        "runs": shown,
    }


def _without_secrets(run: Run) -> Run:
    """The run with what a page shows of it redacted; a history may hold older runs."""
    decisions = tuple(replace(d, reason=json_safe(d.reason)) for d in run.decisions)
    return replace(
        run,
        config=json_safe(run.config),
        key_fields=json_safe(run.key_fields),
        reason=json_safe(run.reason),
        output_dir=json_safe(run.output_dir),
        decisions=decisions,
    )


def _keys(runs: Sequence[Run]) -> list[str]:
    """The keys that the runs differ in: the rate first, seeds and names last.

    Between them, those with most values come first.
    """
    configs = [run.config for run in runs]
    flat = [flatten(config) for config in configs]

    def rank(key: str) -> tuple[bool, bool, int]:
        values = {repr(one.get(key)) for one in flat}
        return key in NO_SETTING, key != "learning_rate", -len(values)

    keys = [key for key in varied_keys(configs) if not key.endswith("_path")]
    return sorted(keys, key=rank)[:_MOST_KEYS]


def _label(key: str, keys: Sequence[str]) -> str:
    """The last part of a key, or all of it where two end alike."""
    last = key.rpartition(".")[2]
    alike = sum(other.rpartition(".")[2] == last for other in keys)
    return (last if alike == 1 else key).replace("_", " ")


def _counts(runs: Sequence[Run]) -> list[list[Any]]:
    counted = Counter(run.shown_status for run in runs)
    return [[status, n] for status, n in counted.most_common()]


def _with_limits(runs: Sequence[Run], metric: str | None) -> set[str]:
    """The runs to replay for limits: the judged and the best ones first."""
    found = best_of(runs, metric)
    best = None if found is None else found[0].id
    ordered = sorted(runs, key=lambda r: (r.id != best, not r.decisions))
    chosen, left = set(), _LIMIT_STEPS
    for run in ordered:
        if run.step <= left:
            chosen.add(run.id)
            left -= run.step
    return chosen


def _material(history: RunHistory, run: Run) -> Material:
    trace = _trace(run)
    points = [] if trace is not None else history.points(run.id)
    return Material(run, trace, points)


def _trace(run: Run) -> Trace | None:
    try:
        if run.trace_path:
            return read_trace(run.trace_path)
        return _trainer_state(run) if run.id.startswith(ID_PREFIX) else None
    except TraceError:
        return None


def _trainer_state(run: Run) -> Trace | None:
    """The logs of a run that was not watched."""
    found = map(read_trainer_state, find_trainer_states(run.output_dir))
    return next((state for state in found if state.run["id"] == run.id), None)


def _add_predictions(
    shown: Sequence[dict[str, Any]],
    history: RunHistory,
    runs: Sequence[Run],
    metric: str | None,
) -> None:
    ids = {run.id for run in runs}
    for study in dict.fromkeys(run.study for run in runs):
        # All its runs, as those of the report may be only some of them.
        every = history.runs(study=study, with_config=False)
        own = history.runs_by_ids(taking_part(every, metric, ids))
        points = {run.id: history.points(run.id) for run in own}
        found = predictions(own, metric, points)
        for values in shown:
            if values["id"] in found:
                values["prediction"] = found[values["id"]]
