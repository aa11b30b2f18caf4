"""Settings that other runs support as they are, and what they leave open."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from ._advice import Unclear
from ._comparison import (
    Comparison,
    is_bracketed,
    is_clear,
    listed,
    name_of,
    plain,
    score_of,
)
from ._text import rounded, shown

_MOST_FACTOR = 10 / 3
"""How far beyond the tried values the next trial may be."""

_NEAR = 5.0
"""Values that differ by a larger factor leave room for a better one between them."""

_EDGE = 3
"""A best value at the edge of fewer values says nothing about what lies beyond."""


def kept(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """Settings that the runs beside this one support as they are, by key."""
    record = comparison.record
    for series in comparison.series:
        level = comparison.level(series)
        if level is None or not is_bracketed(series, level):
            continue
        values = series.values
        low, high = values[series.own - 1], values[series.own + 1]
        key = name_of(record, series.key)
        yield (
            key,
            f"{key} {shown(values[series.own].value)}: {shown(low.value)} and "
            f"{shown(high.value)} scored worse ({score_of(record, low)} and "
            f"{score_of(record, high)}; this one "
            f"{score_of(record, values[series.own])})",
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
        if not is_clear(series, beside, own, noise) or other.value <= 0:
            continue
        ratio = mine.value / other.value
        factor = min(_MOST_FACTOR, max(1 / _MOST_FACTOR, ratio))
        yield Unclear(
            name_of(record, series.key),
            plain(mine.value),
            f"it scored best, and is the {'lowest' if own == 0 else 'highest'} value "
            f"that was tried ({listed(record, series)})",
            (plain(rounded(mine.value * factor)),),
        )


def gaps(comparison: Comparison) -> Iterator[Unclear]:
    """Settings whose best value lies far from the next ones that were tried."""
    for series in comparison.series:
        noise, values, own = comparison.level(series), series.values, series.own
        if noise is None or not is_bracketed(series, noise):
            continue
        near = [values[own - 1].value, values[own].value, values[own + 1].value]
        if near[0] <= 0 or all(b / a <= _NEAR for a, b in pairwise(near)):
            continue
        between = [
            plain(rounded(math.sqrt(a * b))) for a, b in pairwise(near) if b / a > _NEAR
        ]
        yield Unclear(
            name_of(comparison.record, series.key),
            plain(near[1]),
            f"the nearest values that were tried are {shown(near[0])} and "
            f"{shown(near[2])}",
            tuple(between),
        )
