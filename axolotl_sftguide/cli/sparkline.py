"""A curve as one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 36) -> str:
    """The curve in at most `width` characters, each the mean of a stretch of it.

    A stretch without a finite value is an `x`; a flat curve is drawn at half height.
    The scale is logarithmic where the values span more than a factor of five.
    """
    stretches = min(width, len(values))
    means = [
        _finite_mean(
            values[len(values) * i // stretches : len(values) * (i + 1) // stretches]
        )
        for i in range(stretches)
    ]
    known = [mean for mean in means if mean is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = math.log if low > 0 and high > 5 * low else float
    return "".join(
        "x" if mean is None else _bar(scale(mean), scale(low), scale(high))
        for mean in means
    )


def _bar(value: float, low: float, high: float) -> str:
    height = (value - low) / (high - low) if high > low else 0.5
    return _BARS[min(int(height * len(_BARS)), len(_BARS) - 1)]


def _finite_mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else None
