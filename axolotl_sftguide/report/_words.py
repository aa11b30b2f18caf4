"""What happened in a study, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..runs.history import Decision, Run
from ..units import count, number, share
from ._scores import Names, best_sentences, unequal_samples, worst_sentences

RULES = {
    "non_finite": "The loss or the gradient norm was NaN or infinite.",
    "divergence": "The loss or the gradient norm rose above the run's own level and "
    "stayed there.",
    "not_learning": "The loss had not fallen by more than its noise, or there was no "
    "gradient.",
    "comparison": "Higher gradient norm and lower loss than a finished run after as "
    "many samples.",
    "cohort": "Higher gradient norm and lower loss than most finished runs after as "
    "many samples.",
    "prediction": "By the finished runs, its chance to beat the best of them was below "
    "the limit.",
    "evaluation": "The evaluation did not improve any more.",
}
"""What each rule found, by its name."""

_ABOUT = {
    ("non_finite", "loss"): "The loss was NaN or infinite.",
    ("non_finite", "grad_norm"): "The gradient norm was NaN or infinite.",
    ("divergence", "loss"): "The loss rose above the run's own level and stayed there.",
    ("divergence", "grad_norm"): "The gradient norm rose above the run's own level and "
    "stayed there.",
    ("not_learning", "loss"): "The loss had not fallen by more than its noise.",
    ("not_learning", "grad_norm"): "There was no gradient.",
    ("not_learning", "trained_tokens"): "No token was trained on.",
}
"""What a rule found, if it concerns a single signal."""

STATUS = {
    "finished": "trained to the end",
    "terminated": "stopped by a rule before the end (status `terminated`)",
    "parked": "stopped for now; the sweep may resume it",
    "running": "still training",
    "failed": "ended with an error",
    "dead": "its process is gone",
}
"""What each status means."""

_FEW = 3


def glance(runs: Sequence[Run], metric: str | None, keys: Sequence[str]) -> list[str]:
    """The outcome of the runs, the most important sentence first."""
    told = Names(runs, keys)
    return [
        *best_sentences(runs, metric, told),
        *filter(None, [unequal_samples(runs)]),
        *worst_sentences(runs, metric, told),
        *_stopped(runs, metric, told),
        *_parked(runs, told),
        *_warned(runs, told),
        *_others(runs, told),
        *_saved(runs),
        *_unlike(runs),
    ]


def _stopped(runs: Sequence[Run], metric: str | None, told: Names) -> Iterator[str]:
    stopped = [run for run in runs if run.status == "terminated"]
    if len(stopped) <= _FEW:
        for run in stopped:
            decision = stop_of(run)
            by = f" by the rule {decision.rule}" if decision else ""
            reason = reason_of(decision) if decision else run.reason
            yield (
                f"{told(run)} was stopped at step {count(run.step)} of "
                f"{count(run.max_steps)}{by}{f': {reason}' if reason else ''}."
                f"{_scored_there(run, metric)}"
            )
        return
    rules = Counter(stopping_rule(run) or "other reasons" for run in stopped)
    by_rule = ", ".join(f"{count(n)} by {rule}" for rule, n in rules.most_common())
    yield f"{count(len(stopped))} runs were stopped before their end: {by_rule}."
    if any(run.score(metric) for run in stopped):
        yield "Scores of stopped runs are of the model as it was when they stopped."


def _scored_there(run: Run, metric: str | None) -> str:
    score = run.score(metric)
    if score is None:
        return ""
    # A score that was attached later may be of any model.
    where = "scored where it stopped" if score.origin == "run" else "scored afterwards"
    return f" It was {where}: {score.metric} {number(score.value)}."


def _parked(runs: Sequence[Run], told: Names) -> Iterator[str]:
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


def _warned(runs: Sequence[Run], told: Names) -> Iterator[str]:
    warned = [
        (run, [d.rule for d in run.decisions if d.action == "warn"])
        for run in runs
        if run.status not in ("terminated", "parked")
    ]
    warned = [(run, rules) for run, rules in warned if rules]
    if len(warned) <= _FEW:
        for run, rules in warned:
            names = list(dict.fromkeys(rules))
            found = {d.rule: found_by(d) for d in run.decisions if d.action == "warn"}
            what = " ".join(found[rule] for rule in names).strip()
            rule_s = "rules" if len(names) > 1 else "rule"
            yield (
                f"{told(run)} was not stopped, but the {rule_s} {' and '.join(names)} "
                f"warned about it{f': {_lower(what)}' if what else '.'}"
            )
        return
    counted = Counter(rule for _, rules in warned for rule in set(rules))
    by_rule = ", ".join(f"{count(n)} by {rule}" for rule, n in counted.most_common())
    yield f"{count(len(warned))} runs that were not stopped have warnings: {by_rule}."


def _others(runs: Sequence[Run], told: Names) -> Iterator[str]:
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
            f"As runs were stopped, {count(saved)} of {count(planned)} planned "
            f"optimizer steps were not trained ({share(saved, planned)})."
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


def found_by(decision: Decision) -> str:
    """What the rule found; for the signal of the decision only, if it names one."""
    only = decision.signals[0] if len(decision.signals) == 1 else ""
    return _ABOUT.get((decision.rule, only)) or RULES.get(decision.rule, "")


def stop_of(run: Run) -> Decision | None:
    """The decision that stopped or parked a run; None if the history does not say."""
    stops = [d for d in run.decisions if d.action in ("stop", "park")]
    return stops[-1] if stops else None


def stopping_rule(run: Run) -> str | None:
    """The rule that stopped or parked a run; None if the history does not say."""
    decision = stop_of(run)
    return decision.rule if decision else None


def reason_of(decision: Decision) -> str:
    """The reason, with the chance that the rule `prediction` decided by."""
    chance = decision.figures.get("chance")
    if decision.rule != "prediction" or not isinstance(chance, float):
        return decision.reason
    percent = f"{number(100 * chance, 2)}%" if chance >= 1e-4 else "below 0.01%"
    return f"{decision.reason}; its chance to beat that was {percent}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
