"""What happened in a study, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..config.differences import flatten
from ..runs.history import Run, Score
from ..units import count, number, share

RULES = {
    "non_finite": "The loss or the gradient norm was NaN or infinite.",
    "divergence": "The loss or the gradient norm rose above the run's own level and "
    "stayed there.",
    "not_learning": "The run did not learn: the loss stayed where it began, or there "
    "was no gradient.",
    "comparison": "Higher gradient norm and lower loss than a finished run after as "
    "many samples.",
    "cohort": "Higher gradient norm and lower loss than most finished runs after as "
    "many samples.",
    "prediction": "By the finished runs, hardly any chance to beat the best of them.",
    "evaluation": "The evaluation did not improve any more.",
}
"""What each rule found, by its name."""

STATUS = {
    "finished": "trained to the end",
    "terminated": "stopped by a rule before the end",
    "parked": "stopped for now; the sweep may resume it",
    "running": "still training",
    "failed": "ended with an error",
    "dead": "its process is gone",
}
"""What each status means."""

_FEW = 3


def labels(runs: Sequence[Run]) -> dict[str, str]:
    """By run id, what a run is called: the first of these that no other run has.

    Its name, its study and name, or its id.
    """
    names = Counter(run.name for run in runs)
    in_study = Counter((run.study, run.name) for run in runs)
    found = {}
    for run in runs:
        found[run.id] = run.id
        if run.name and names[run.name] == 1:
            found[run.id] = run.name
        elif run.name and in_study[run.study, run.name] == 1:
            found[run.id] = f"{run.study}/{run.name}"
    return found


def best_of(runs: Sequence[Run], metric: str | None) -> tuple[Run, Score] | None:
    """The run with the best score on the metric."""
    scored = [
        (run, score)
        for run in runs
        if metric is not None
        and (score := run.score(metric)) is not None
        and score.value == score.value
    ]
    if not scored:
        return None
    sign = 1.0 if scored[0][1].goal == "max" else -1.0
    return max(scored, key=lambda pair: sign * pair[1].value)


def glance(runs: Sequence[Run], metric: str | None, keys: Sequence[str]) -> list[str]:
    """The outcome of the runs, the most important sentence first."""
    told = _Names(runs, keys)
    return [
        *_best(runs, metric, told),
        *_stopped(runs, told),
        *_parked(runs, told),
        *_warned(runs, told),
        *_others(runs, told),
        *_saved(runs),
        *_unlike(runs),
    ]


class _Names:
    """Names runs by their label and the settings that they differ in."""

    def __init__(self, runs: Sequence[Run], keys: Sequence[str]) -> None:
        self._labels = labels(runs)
        self._keys = keys[:2]

    def __call__(self, run: Run) -> str:
        config = flatten(run.config)
        values = [
            f"{key.rpartition('.')[2].replace('_', ' ')} {_value(config[key])}"
            for key in self._keys
            if config.get(key) is not None
        ]
        label = self._labels[run.id]
        return f"{label} ({', '.join(values)})" if values else label


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _best(runs: Sequence[Run], metric: str | None, told: _Names) -> Iterator[str]:
    found = best_of(runs, metric)
    if found is None:
        yield "No run has a score" + (
            "." if len(runs) == 1 else ", so no run can be called the best."
        )
        return
    run, score = found
    better = "higher" if score.goal == "max" else "lower"
    base = ""
    if score.base_value is not None:
        base = f"; {number(score.base_value)} before training"
    reached = f"{score.metric} {number(score.value)} ({better} is better{base})."
    if len(runs) == 1:
        yield f"{told(run)} reached {reached}"
    else:
        yield f"The best run is {told(run)}: {reached}"


def _stopped(runs: Sequence[Run], told: _Names) -> Iterator[str]:
    stopped = [run for run in runs if run.status == "terminated"]
    if len(stopped) <= _FEW:
        for run in stopped:
            rule = stopping_rule(run)
            by = f" by the rule {rule}: {_why(rule)}" if rule else "."
            yield (
                f"{told(run)} was stopped at step {count(run.step)} of "
                f"{count(run.max_steps)}{by}"
            )
        return
    rules = Counter(stopping_rule(run) or "other reasons" for run in stopped)
    by_rule = ", ".join(f"{count(n)} by {rule}" for rule, n in rules.most_common())
    yield f"{count(len(stopped))} runs were stopped before their end: {by_rule}."


def _parked(runs: Sequence[Run], told: _Names) -> Iterator[str]:
    parked = [run for run in runs if run.shown_status == "parked"]
    if len(parked) > _FEW:
        yield f"{count(len(parked))} runs are parked; the sweep may resume them."
        return
    for run in parked:
        rule = stopping_rule(run)
        by = f" by the rule {rule}" if rule else ""
        yield (
            f"{told(run)} was parked at step {count(run.step)} of "
            f"{count(run.max_steps)}{by}; the sweep may resume it."
        )


def _warned(runs: Sequence[Run], told: _Names) -> Iterator[str]:
    warned = [
        (run, [d.rule for d in run.decisions if d.action == "warn"])
        for run in runs
        if run.status not in ("terminated", "parked")
    ]
    warned = [(run, rules) for run, rules in warned if rules]
    if len(warned) <= _FEW:
        for run, rules in warned:
            what = " ".join(_why(rule) for rule in dict.fromkeys(rules))
            names = ", ".join(dict.fromkeys(rules))
            yield f"{told(run)} was not stopped, but has a warning of {names}: {what}"
        return
    counted = Counter(rule for _, rules in warned for rule in set(rules))
    by_rule = ", ".join(f"{count(n)} of {rule}" for rule, n in counted.most_common())
    yield (f"{count(len(warned))} runs that were not stopped have warnings: {by_rule}.")


def _others(runs: Sequence[Run], told: _Names) -> Iterator[str]:
    for status in ("failed", "dead", "running"):
        found = [run for run in runs if run.shown_status == status]
        if not found:
            continue
        if len(found) <= _FEW:
            yield f"{', '.join(map(told, found))}: {status}, {STATUS[status]}."
        else:
            yield f"{count(len(found))} runs: {status}, {STATUS[status]}."


def _saved(runs: Sequence[Run]) -> Iterator[str]:
    saved = sum(run.steps_saved for run in runs)
    planned = sum(run.max_steps for run in runs)
    if saved:
        yield (
            f"Stopping saved {count(saved)} of {count(planned)} planned optimizer "
            f"steps ({share(saved, planned)})."
        )


def _unlike(runs: Sequence[Run]) -> Iterator[str]:
    """A warning where scores may be of different tasks."""
    models = {run.key_fields.get("base_model") for run in runs} - {None}
    data = [run.key_fields.get("data") for run in runs]
    digests = {d.get("digest") for d in data if isinstance(d, Mapping)} - {None}
    apart = [
        word
        for word, found in (("base model", models), ("training data", digests))
        if len(found) > 1
    ]
    if apart:
        yield (
            f"The runs differ in {' and '.join(apart)}: their losses and scores may "
            "not be comparable."
        )


def stopping_rule(run: Run) -> str | None:
    """The rule that stopped or parked a run; None if the history does not say."""
    stops = [d.rule for d in run.decisions if d.action in ("stop", "park")]
    return stops[-1] if stops else None


def _why(rule: str) -> str:
    words: Mapping[str, str] = RULES
    text = words.get(rule, "")
    return text[:1].lower() + text[1:]
