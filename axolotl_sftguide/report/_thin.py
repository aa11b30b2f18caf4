"""Curves thinned to what a screen resolves, with their extremes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

DIGITS = 4
"""Significant digits of a value in the page."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values over samples or steps; a value that is not finite is a gap."""

    xs: tuple[int, ...]
    ys: tuple[float, ...]

    def to_dict(self) -> dict[str, list[Any]]:
        """Plain values: `x` as differences, which are shorter, and `y` rounded."""
        before, deltas = 0, []
        for x in self.xs:
            deltas.append(x - before)
            before = x
        return {"x": deltas, "y": [rounded(y) for y in self.ys]}


def rounded(value: float | None, digits: int = DIGITS) -> float | None:
    """The value with a few significant digits; None if it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def series(pairs: Iterable[tuple[int, float | None]]) -> Series:
    """The values in order; None is kept as a gap."""
    points = [(x, math.nan if y is None else y) for x, y in pairs]
    return Series(tuple(x for x, _ in points), tuple(y for _, y in points))


def thinned(curve: Series, most: int, keep: Iterable[int] = ()) -> Series:
    """At most about `most` of the points, none of them altered.

    The range is divided into equal stretches. Of each stretch the lowest, the highest
    and the first value that is not finite stay, so that no spike and no gap is lost.
    The first and the last point stay, and those at the positions `keep`.
    """
    if len(curve.xs) <= most:
        return curve
    stretches = max(1, most // 2)
    first, width = curve.xs[0], max(1, curve.xs[-1] - curve.xs[0])
    kept = {0, len(curve.xs) - 1, *keep}
    begin = 0
    for stretch in range(stretches):
        last = first + width * (stretch + 1) / stretches
        end = begin
        while end < len(curve.xs) and (curve.xs[end] <= last):
            end += 1
        kept.update(_extremes(curve.ys, begin, end))
        begin = end
    order = sorted(kept)
    return Series(tuple(curve.xs[i] for i in order), tuple(curve.ys[i] for i in order))


def averaged(curve: Series, most: int) -> Series:
    """Means over at most `most` stretches of as many points, each at its last one.

    Values that are not finite are left out of a mean; a stretch of them is a gap.
    """
    count = len(curve.xs)
    stretches = min(most, count)
    xs, ys = [], []
    for i in range(stretches):
        begin, end = count * i // stretches, count * (i + 1) // stretches
        finite = [y for y in curve.ys[begin:end] if math.isfinite(y)]
        xs.append(curve.xs[end - 1])
        ys.append(math.fsum(finite) / len(finite) if finite else math.nan)
    return Series(tuple(xs), tuple(ys))


def _extremes(ys: Sequence[float], begin: int, end: int) -> list[int]:
    """The positions of the lowest, the highest and the first missing value."""
    finite = [i for i in range(begin, end) if math.isfinite(ys[i])]
    found = [i for i in range(begin, end) if not math.isfinite(ys[i])][:1]
    if finite:
        found += [min(finite, key=ys.__getitem__), max(finite, key=ys.__getitem__)]
    return found
