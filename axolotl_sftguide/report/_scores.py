"""Sentences about the scores of runs, and the labels of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..config.differences import flatten, setting_of
from ..runs.history import Run, Score
from ..runs.score_intervals import interval
from ..signals.comparability import effective_batch_size
from ..units import count, number

_FEW = 3
"""More runs than these are counted, not named."""

_ALIKE = 1.1
"""Counts of samples within this factor are the same for a comparison of scores."""

_MOST_BATCHES = 4
"""With more batch sizes, the samples are given as a range."""


def labels(runs: Sequence[Run]) -> dict[str, str]:
    """The label of each run by its id: the first of these that no other run has.

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


class Names:
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


def best_of(runs: Sequence[Run], metric: str | None) -> tuple[Run, Score] | None:
    """The run with the best score on the metric."""
    ranked = _ranked(runs, metric)
    return ranked[0] if ranked else None


def _ranked(runs: Sequence[Run], metric: str | None) -> list[tuple[Run, Score]]:
    """The runs with a score on the metric, the best first."""
    scored = [
        (run, score)
        for run in runs
        if metric is not None
        and (score := run.score(metric)) is not None
        and score.value == score.value
    ]
    sign = 1.0 if scored and scored[0][1].goal == "max" else -1.0
    return sorted(scored, key=lambda pair: -sign * pair[1].value)


def best_sentences(
    runs: Sequence[Run], metric: str | None, told: Names
) -> Iterator[str]:
    """The best run with its margin, and how often its settings were run."""
    ranked = _ranked(runs, metric)
    if not ranked:
        yield "No run has a score" + (
            "." if len(runs) == 1 else ", so no run can be called the best."
        )
        return
    run, score = ranked[0]
    better = "higher" if score.goal == "max" else "lower"
    base = ""
    if score.base_value is not None:
        base = f"; {number(score.base_value)} before training"
    reached = f"{score.metric} {number(score.value)} ({better} is better{base})"
    if len(runs) == 1:
        yield f"{told(run)} reached {reached}."
        return
    yield f"The best run is {told(run)}: {reached}{_margin(ranked, told)}."
    yield from _intervals(ranked)
    yield from _repeats(ranked)


def _margin(ranked: Sequence[tuple[Run, Score]], told: Names) -> str:
    if len(ranked) < 2:
        return ", the only score"
    (_, best), (second, other) = ranked[:2]
    margin = abs(best.value - other.value)
    if not margin:
        return f", the same score as {told(second)}"
    return f", {number(margin, 3)} better than the second, {told(second)}"


def _intervals(ranked: Sequence[tuple[Run, Score]]) -> Iterator[str]:
    """The intervals of the two best scores, if their numbers of examples are known."""
    if len(ranked) < 2:
        return
    (_, best), (_, second) = ranked[:2]
    one, other = interval(best), interval(second)
    if one is None or other is None or best.examples != second.examples:
        return
    each = " and ".join(f"{number(a, 3)} to {number(b, 3)}" for a, b in (one, other))
    apart = one[0] > other[1] or other[0] > one[1]
    follows = "" if apart else ": they overlap, so the margin alone says little"
    examples = count(best.examples or 0)
    yield (
        f"Both are shares of {examples} held-out examples, with 95% intervals {each}"
        f"{follows}."
    )


def _repeats(ranked: Sequence[tuple[Run, Score]]) -> Iterator[str]:
    """How far scores of equal settings are apart, or that nothing says so."""
    of_setting = Counter(setting_of(run.config) for run, _ in ranked if run.config)
    best, _ = ranked[0]
    if len(ranked) < 2 or not best.config:
        return
    amount = of_setting[setting_of(best.config)]
    if amount > 1:
        values = [
            score.value
            for run, score in ranked
            if run.config and setting_of(run.config) == setting_of(best.config)
        ]
        yield (
            f"Its settings were run {count(amount)} times, with scores from "
            f"{number(min(values))} to {number(max(values))}."
        )
    else:
        yield (
            "Its settings were run once: how much its score varies with the seed is "
            "not known."
        )


def worst_sentences(
    runs: Sequence[Run], metric: str | None, told: Names
) -> Iterator[str]:
    """The finished runs that score no better than the model did before training.

    Where that was not scored, those with the worst score.
    """
    ranked = _ranked(runs, metric)
    finished = [(run, score) for run, score in ranked if run.status == "finished"]
    if not finished or len(runs) == 1:
        return
    sign = 1.0 if finished[0][1].goal == "max" else -1.0
    based = [(r, s, s.base_value) for r, s in finished if s.base_value is not None]
    if based:
        idle = [r for r, s, base in based if sign * s.value <= sign * base]
        if idle:
            yield (
                f"No better than before training: {_all(idle, told)}, although trained "
                "to the end."
            )
        return
    if len(finished) < 3:
        return
    worst = finished[-1][1].value
    if worst != finished[0][1].value:
        last = [run for run, score in finished if score.value == worst]
        yield (
            f"The worst score of a finished run is {number(worst)}, of "
            f"{_all(last, told)}; the score before training was not recorded."
        )


def _all(runs: Sequence[Run], told: Names) -> str:
    if len(runs) > _FEW:
        return f"{count(len(runs))} finished runs"
    named = list(map(told, runs))
    return " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))


def unequal_samples(runs: Sequence[Run]) -> str | None:
    """That finished runs saw different numbers of samples; None if they did not."""
    seen = [r for r in runs if r.status == "finished" and r.samples_seen > 0]
    if not seen:
        return None
    amounts = [run.samples_seen for run in seen]
    low, high = min(amounts), max(amounts)
    if high <= _ALIKE * low:
        return None
    told = f"from {count(low)} to {count(high)}"
    by_batch: dict[int, list[int]] = {}
    for run in seen:
        by_batch.setdefault(effective_batch_size(run.key_fields) or 0, []).append(
            run.samples_seen
        )
    whole = all(max(one) <= _ALIKE * min(one) for one in by_batch.values())
    follows = "their scores also differ by the amount of training."
    if 0 not in by_batch and whole and 1 < len(by_batch) <= _MOST_BATCHES:
        told = ", ".join(
            f"{count(max(by_batch[batch]))} with batch size {count(batch)}"
            for batch in sorted(by_batch)
        )
        follows = (
            "a better score of one batch size may come from more samples and not from "
            "the batch size."
        )
    return f"The finished runs did not see equally many samples ({told}): {follows}"
