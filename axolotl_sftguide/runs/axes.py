"""The edges of the charts of a run that trains."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..units import number
from .live import LiveRun

Pair = tuple[float, float]


def right_edge(live: LiveRun) -> float:
    """The samples at the right edge: the whole run, or a half of it, a quarter, ..."""
    seen = max(1, live.samples_seen)
    if not live.step or live.run.max_steps <= live.step:
        return float(seen)
    end = seen * live.run.max_steps / live.step
    while end / 2 >= seen:
        end /= 2
    return end


def limits(own: Sequence[float], others: Sequence[float]) -> tuple[Pair, bool]:
    """The values at the lower and upper edge, and whether the scale is logarithmic.

    All values of the run fit in. So do the middle 80% of the other runs' values, if
    the run's own values keep at least a third of the height.
    """
    own = [value for value in own if math.isfinite(value)]
    others = sorted(value for value in others if math.isfinite(value))
    if not own:
        own = others or [0.0, 1.0]
    low, high = min(own), max(own)
    if others:
        cut = len(others) // 10
        wider_low = min(low, others[cut])
        wider_high = max(high, others[-1 - cut])
        room = 3 * (high - low) or abs(high)
        low, high = max(wider_low, low - room), min(wider_high, high + room)
    log = low > 0 and high > 8 * low
    if high <= low:
        low, high = low - (abs(low) or 1.0) / 10, high + (abs(high) or 1.0) / 10
    return (low, high), log


def axis_figure(value: float) -> str:
    """A figure for an axis, at most seven characters: `0.0123`, `1314`, `1e+07`."""
    if 1000 <= abs(value) < 1e6:
        return f"{value:.0f}"
    text = number(value, 3)
    return text if len(text) <= 7 else f"{value:.0e}"
