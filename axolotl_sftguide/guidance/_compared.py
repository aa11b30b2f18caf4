"""Changes that the scores of other runs with the same model and data support."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..units import number
from ._advice import Advice, Certainty, Reason
from ._comparison import SAMPLES, Comparison, is_clear, name_of, plain, score_of
from ._noise import Noise
from ._record import Record
from ._series import Series, Value, differing
from ._text import shown


def compared(comparison: Comparison) -> Iterator[Advice]:
    """Changes of one setting that other runs support, and the best run."""
    record, covered = comparison.record, []
    for series in comparison.series:
        noise = comparison.level(series)
        if series.best != series.own and is_clear(
            series, series.own, series.best, noise
        ):
            advice = _toward(record, series, noise)
            covered.append(advice.key)
            yield advice
    yield from _best_run(record, comparison.noise, covered)


def _toward(record: Record, series: Series, noise: Noise | None) -> Advice:
    """Take the value that scored best."""
    mine, best = series.values[series.own], series.values[series.best]
    key = name_of(record, series.key)
    reasons = [
        _compared_text(record, series, series.best),
        _noise_text(noise, best, mine),
    ]
    set_to = f"set {key}: {shown(best.value)}"
    if key == SAMPLES:
        edits = ", ".join(f"{k}: {shown(v)}" for k, v in best.edits.items())
        set_to = f"take {shown(best.value)} samples per step: set {edits}"
    return Advice(
        "neighbours",
        key,
        set_to,
        tuple(map(Reason, reasons)),
        _certainty(noise),
        now=plain(mine.value),
        to=plain(best.value),
        direction="higher" if best.value > mine.value else "lower",
        edits=dict(best.edits),
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


def _certainty(noise: Noise | None) -> Certainty:
    return "high" if noise is not None and noise.by_repeats else "moderate"


def _compared_text(record: Record, series: Series, place: int) -> str:
    metric = record.result.metric if record.result else "score"
    value, mine = series.values[place], series.values[series.own]
    runs = f" (mean of {value.runs} runs)" if value.runs > 1 else ""
    return (
        f"with {shown(value.value)} and all else equal, {metric} was "
        f"{score_of(record, value)}{runs}; with {shown(mine.value)} it was "
        f"{score_of(record, mine)}"
    )


def _noise_text(noise: Noise | None, one: Value, other: Value) -> str:
    least = None if noise is None else noise.least(one.runs, other.runs)
    if noise is None or least is None or abs(one.score - other.score) <= least:
        return "the scores of all values are in order, so it is hardly chance"
    return f"a difference of up to {number(least, 2)} may be chance ({noise.source})"
