"""Numbers as text for people."""

from __future__ import annotations

import math


def number(value: float | None, digits: int = 4) -> str:
    """A number with `digits` significant digits; `-` for None."""
    if value is None:
        return "-"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.{digits}g}"


def count(value: int | None) -> str:
    """A whole number with thousands separators; `-` for None."""
    return "-" if value is None else f"{value:,}"


def counted(value: int, noun: str) -> str:
    """A number of things, such as `1 row` or `2,000 rows`."""
    return f"{value:,} {noun}{'s' * (value != 1)}"


def duration(seconds: float | None) -> str:
    """A duration such as `42s`, `3m 10s`, `2h 05m` or `4d 3h`; `-` for None."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def share(part: float, whole: float) -> str:
    """A percentage such as `38%`; `-` if the whole is zero."""
    return f"{100 * part / whole:.0f}%" if whole else "-"


def ordinal_share(quantile: float) -> str:
    """`median` for 0.5, else a percentile such as `75th percentile`."""
    if quantile == 0.5:
        return "median"
    return f"{100 * quantile:g}th percentile"
