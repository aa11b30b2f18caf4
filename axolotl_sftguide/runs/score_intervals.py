"""The confidence interval of a score, from its number of held-out examples."""

from __future__ import annotations

import math

from ..units import count, number
from .history import Score

_Z = 1.959964
"""The normal distribution's 97.5% quantile."""


def interval(score: Score) -> tuple[float, float] | None:
    """The 95% interval of a score that is a share of examples, by Wilson's formula.

    None for any other score, as the spread of its examples is not known. A share of n
    examples is a multiple of 1/n between 0 and 1. The interval holds for other examples
    of the same kind, not for another training with another seed.
    """
    n, share = score.examples, score.value
    if not n or not 0.0 <= share <= 1.0 or abs(share * n - round(share * n)) > 1e-6 * n:
        return None
    centre = (share + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    spread = math.sqrt(share * (1 - share) / n + _Z * _Z / (4 * n * n))
    half = _Z * spread / (1 + _Z * _Z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def examples_of(score: Score) -> list[str]:
    """The number of examples and the interval in words, as far as they are known."""
    if not score.examples:
        return []
    told = [f"{count(score.examples)} examples"]
    found = interval(score)
    if found is not None:
        told.append(f"95% interval {number(found[0], 3)} to {number(found[1], 3)}")
    return told
