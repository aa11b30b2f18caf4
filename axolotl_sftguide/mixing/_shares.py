"""How many rows or tokens each source gets, and which of its rows are repeated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..config.mix_settings import SourceSettings
from ._columns import Indices, Weights, total


def sizes(
    sources: Sequence[SourceSettings], available: Sequence[int], upsample: bool
) -> list[float]:
    """The rows, or tokens, of each source in the mix.

    Args:
        sources: The settings of the sources.
        available: The rows, or tokens, that each source has.
        upsample: Whether shares are reached by repeating rows.
    """
    wanted = [
        source.repeats * size for source, size in zip(sources, available, strict=True)
    ]
    shares = [source.share for source in sources]
    if all(share is None for share in shares):
        return wanted
    full = _full_shares(shares, wanted)
    totals = [n / share for n, share in zip(wanted, full, strict=True) if share > 0]
    size = (max if upsample else min)(totals, default=0)
    return [share * size for share in full]


def limiting_source(
    sources: Sequence[SourceSettings], available: Sequence[int], upsample: bool
) -> int | None:
    """The source that has too few rows for its share, so that others are cut."""
    wanted = [
        source.repeats * size for source, size in zip(sources, available, strict=True)
    ]
    shares = [source.share for source in sources]
    if upsample or all(share is None for share in shares):
        return None
    full = _full_shares(shares, wanted)
    totals = [
        (n / share, place)
        for place, (n, share) in enumerate(zip(wanted, full, strict=True))
        if share > 0
    ]
    return min(totals)[1] if totals else None


def _full_shares(
    shares: Sequence[float | None], wanted: Sequence[float]
) -> list[float]:
    """The share of each source; those without one divide the rest by their size."""
    rest = 1 - sum(share for share in shares if share is not None)
    free = sum(n for n, share in zip(wanted, shares, strict=True) if share is None)
    return [
        share if share is not None else rest * n / free if free else 0.0
        for n, share in zip(wanted, shares, strict=True)
    ]


def passes(indices: Indices, weights: Weights, size: float) -> list[Indices]:
    """Whole passes over the rows, then the part of one that is nearest to the size."""
    whole = total(weights)
    if not whole:
        return []
    count = int((size + 1e-9 * whole) // whole)
    sums = np.cumsum(weights, dtype=np.int64)
    rest = size - count * whole
    part = int(np.searchsorted(sums, rest))
    below = int(sums[part - 1]) if part else 0
    if part < len(sums) and sums[part] - rest < rest - below:
        part += 1
    return [indices] * count + ([indices[:part]] if part else [])
