"""What the scores of other runs of the same model and data say of this one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..units import number
from ._advice import Advice, Certainty, Direction, Reason, Unclear
from ._noise import Noise, by_residuals, noise_of, of_losses
from ._record import Record
from ._series import BATCH, Series, Value, differing, series_of
from ._text import shown

_MOST_FACTOR = 10 / 3
"""How far beyond the tried values the next trial may be."""

_ORDERED = 4
"""So many values in order count where the noise is not measured."""

_EDGE = 3
"""A best value at the edge of fewer values says nothing about what lies beyond."""


@dataclass(frozen=True)
class Comparison:
    """A run beside the runs that differ from it in a single setting."""

    record: Record
    series: tuple[Series, ...]
    noise: Noise | None
    """The noise of a score, by repeats or by its examples; None if it is unknown."""

    @classmethod
    def of(cls, record: Record) -> Comparison:
        """The comparison of a run with the runs in its record."""
        series = tuple(series_of(record, record.others))
        return cls(record, series, noise_of(record, record.others))

    def level(self, series: Series) -> Noise | None:
        """The noise of the scores along a setting."""
        points = [(math.log(v.value), v.score) for v in series.values if v.value > 0]
        found = self.noise or by_residuals(points)
        result = self.record.result
        return found or (of_losses(result) if result is not None else None)

    @property
    def ordered(self) -> bool:
        """Whether some setting has enough values to tell an order from chance."""
        return any(len(series.values) >= _ORDERED for series in self.series)

    @property
    def told(self) -> str:
        """The values of the first setting, with their scores."""
        first = self.series[0]
        name = _name(self.record, first.key)
        metric = self.record.result.metric if self.record.result else "score"
        return f"{metric} by {name}: {_listed(self.record, first)}"

    def tried(self) -> dict[str, list[float]]:
        """The values of each setting that were tried with all else equal."""
        return {
            _name(self.record, series.key): [value.value for value in series.values]
            for series in self.series
        }


def compared(comparison: Comparison) -> Iterator[Advice]:
    """Changes of one setting that other runs support, and the best run."""
    record, covered = comparison.record, []
    for series in comparison.series:
        noise = comparison.level(series)
        if series.best != series.own and _is_clear(
            series, series.own, series.best, noise
        ):
            advice = _toward(record, series, noise)
            covered.append(advice.key)
            yield advice
    yield from _best_run(record, comparison.noise, covered)


def kept(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Settings that the runs beside this one support as they are, by key."""
    record = comparison.record
    for series in comparison.series:
        level = comparison.level(series)
        if level is None or not _bracketed(series, level):
            continue
        values = series.values
        low, high = values[series.own - 1], values[series.own + 1]
        key = _name(record, series.key)
        yield (
            key,
            f"{key} {shown(values[series.own].value)}: {shown(low.value)} and "
            f"{shown(high.value)} scored worse ({_score(record, low)} and "
            f"{_score(record, high)}; this one {_score(record, values[series.own])})",
        )


def edges(comparison: Comparison) -> Iterator[Unclear]:
    """Settings whose best value is the lowest or the highest that was tried.

    Beyond it the score may rise or fall: of 548 adapter runs, most that went beyond a
    best learning rate at the edge did worse (benchmarks/next_advice.py).
    """
    record = comparison.record
    for series in comparison.series:
        last, own = len(series.values) - 1, series.own
        noise = comparison.level(series)
        beside = 1 if own == 0 else last - 1
        if series.best != own or own not in (0, last) or len(series.values) < _EDGE:
            continue
        mine, other = series.values[own], series.values[beside]
        if not _is_clear(series, beside, own, noise) or other.value <= 0:
            continue
        ratio = mine.value / other.value
        factor = min(_MOST_FACTOR, max(1 / _MOST_FACTOR, ratio))
        yield Unclear(
            _name(record, series.key),
            _plain(mine.value),
            f"it scored best, and is the {'lowest' if own == 0 else 'highest'} value "
            f"that was tried ({_listed(record, series)})",
            (_plain(_rounded(mine.value * factor)),),
        )


def _toward(record: Record, series: Series, noise: Noise | None) -> Advice:
    """Take the value that scored best."""
    mine, best = series.values[series.own], series.values[series.best]
    return _advice(
        record,
        series,
        best.value,
        "neighbours",
        f"set {_name(record, series.key)}: {shown(best.value)}",
        (
            _compared_text(record, series, series.best),
            _noise_text(noise, best, mine),
        ),
        _certainty(noise),
    )


def _advice(
    record: Record,
    series: Series,
    value: float,
    rule: str,
    text: str,
    reasons: tuple[str, ...],
    certainty: Certainty,
) -> Advice:
    mine = series.values[series.own].value
    direction: Direction = "higher" if value > mine else "lower"
    key = _name(record, series.key)
    return Advice(
        rule,
        key,
        text,
        tuple(Reason(reason) for reason in reasons if reason),
        certainty,
        now=_plain(mine),
        to=_plain(value),
        direction=direction,
        edits={} if series.key == BATCH and "." not in key else {key: _plain(value)},
    )


def _best_run(
    record: Record, noise: Noise | None, covered: Sequence[str]
) -> Iterator[Advice]:
    """Another run that differs in several settings and scored clearly better."""
    result = record.result
    rivals = [o for o in record.others if result and o.result.metric == result.metric]
    if result is None or not rivals or noise is None:
        return
    best = max(rivals, key=lambda other: other.result.better)
    keys = differing(record.config, best.config)
    repeats = [o for o in rivals if o.setting == best.setting]
    mean = math.fsum(o.result.better for o in repeats) / len(repeats)
    settings = len({o.setting for o in rivals})
    least = noise.least(1, len(repeats), settings)
    if not keys or set(keys) & set(covered) or mean - result.better <= least:
        return
    changed = ", ".join(f"{key} {shown(best.config.get(key))}" for key in keys[:4])
    more = f" and {len(keys) - 4} more" if len(keys) > 4 else ""
    score = mean if result.higher_is_better else -mean
    yield Advice(
        "best-run",
        "",
        f"go on from the run {best.name} instead: {changed}{more}",
        (
            Reason(
                f"it scored {result.metric} {number(score)}, this run "
                f"{number(result.value)}; a difference of up to "
                f"{number(least, 2)} may be chance ({noise.source})"
            ),
        ),
        "high" if noise.by_repeats else "moderate",
        edits={key: best.config.get(key) for key in keys},
    )


def _is_clear(series: Series, worse: int, better: int, noise: Noise | None) -> bool:
    """Whether one value is better than another beyond the noise."""
    one, other = series.values[better], series.values[worse]
    comparisons = len(series.values) - 1
    if noise is not None and one.score - other.score > noise.least(
        one.runs, other.runs, comparisons
    ):
        return True
    measured = noise is not None and not noise.assumed
    return not measured and _in_order(series, worse, better)


def _in_order(series: Series, worse: int, better: int) -> bool:
    """Whether scores rise along all values, toward the better of two."""
    step = 1 if better > worse else -1
    scores = [v.score for v in series.values][::step]
    return len(scores) >= _ORDERED and all(a < b for a, b in pairwise(scores))


def _bracketed(series: Series, noise: Noise) -> bool:
    own = series.own
    if not 0 < own < len(series.values) - 1 or series.best != own:
        return False
    return all(_is_clear(series, i, own, noise) for i in (own - 1, own + 1))


def _certainty(noise: Noise | None) -> Certainty:
    return "high" if noise is not None and noise.by_repeats else "moderate"


def _name(record: Record, key: str) -> str:
    if key != BATCH:
        return key
    own = "sftguide.effective_batch_size"
    return own if own in record.config else "samples per step"


def _compared_text(record: Record, series: Series, place: int) -> str:
    metric = record.result.metric if record.result else "score"
    value, mine = series.values[place], series.values[series.own]
    runs = f" (mean of {value.runs} runs)" if value.runs > 1 else ""
    return (
        f"with {shown(value.value)} and all else equal, {metric} was "
        f"{_score(record, value)}{runs}; with {shown(mine.value)} it was "
        f"{_score(record, mine)}"
    )


def _noise_text(noise: Noise | None, one: Value, other: Value) -> str:
    least = None if noise is None else noise.least(one.runs, other.runs)
    if noise is None or least is None or abs(one.score - other.score) <= least:
        return "the scores of all values are in order, so it is hardly chance"
    return f"a difference of up to {number(least, 2)} may be chance ({noise.source})"


def _listed(record: Record, series: Series) -> str:
    return ", ".join(
        f"{_score(record, value)} with {shown(value.value)}" for value in series.values
    )


def _score(record: Record, value: Value) -> str:
    higher = record.result is None or record.result.higher_is_better
    return number(value.score if higher else -value.score)


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) and abs(value) < 1e9 else value
