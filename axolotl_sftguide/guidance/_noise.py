"""The noise of a score: between repeats, or by the number of its examples."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ..students_t import quantile
from ._record import Other, Record, Result

_LEAST_FREEDOM = 2
_LEAST_RESIDUAL_FREEDOM = 2

_LOSSES = ("loss", "nll", "bpb")
_ASSUMED = 0.01


@dataclass(frozen=True, slots=True)
class Noise:
    """The standard deviation of one run's score, and how it is known."""

    deviation: float
    freedom: float
    """Degrees of freedom of the deviation."""
    source: str
    """How it is known, in words."""
    by_repeats: bool = False
    assumed: bool = False

    def least(self, one: int, other: int, comparisons: int = 1) -> float:
        """The least difference of two means that is beyond the noise.

        Args:
            one: Number of runs of one mean.
            other: Number of runs of the other.
            comparisons: How many differences are tested.
        """
        t = quantile(0.025 / max(1, comparisons), self.freedom)
        return t * self.deviation * math.sqrt(1 / one + 1 / other)


def noise_of(record: Record, others: Sequence[Other]) -> Noise | None:
    """The noise of the score of a run; None if it is not known.

    Repeats are preferred: runs that differ in seeds and names only. Without them, a
    score that is a share of so many examples has the noise of that share.
    """
    result = record.result
    if result is None:
        return None
    return _by_repeats(record, others) or _by_examples(result)


def _by_repeats(record: Record, others: Sequence[Other]) -> Noise | None:
    scores: dict[str, list[float]] = defaultdict(list)
    if record.result is not None and record.setting:
        scores[record.setting].append(record.result.better)
    for other in others:
        scores[other.setting].append(other.result.better)
    squares, freedom = 0.0, 0
    for values in scores.values():
        mean = fmean(values)
        squares += math.fsum((value - mean) ** 2 for value in values)
        freedom += len(values) - 1
    if freedom < _LEAST_FREEDOM or squares <= 0:
        return None
    source = f"by {freedom + sum(len(v) > 1 for v in scores.values())} repeated runs"
    return Noise(math.sqrt(squares / freedom), freedom, source, by_repeats=True)


def _by_examples(result: Result) -> Noise | None:
    share, n = result.value, result.examples
    if not n or not 0.0 <= share <= 1.0:
        return None
    if abs(share * n - round(share * n)) > 1e-6 * n:
        return None
    # Agresti and Coull's two added examples of each kind: never a deviation of zero.
    smoothed = (share * n + 2) / (n + 4)
    deviation = math.sqrt(smoothed * (1 - smoothed) / (n + 4))
    return Noise(deviation, 1e6, f"by {n:,} examples")


def of_losses(result: Result) -> Noise | None:
    """A deviation that is assumed of held-out losses, where none is known.

    Between seeds of one setting, held-out losses of six public studies deviated by
    0.1% to 0.5% (docs/next.md); it is taken as 1%.
    """
    name = result.metric.lower()
    if result.higher_is_better or not any(word in name for word in _LOSSES):
        return None
    deviation = _ASSUMED * abs(result.value)
    source = "taking 1% of the loss, more than seeds differed by in public studies"
    return Noise(deviation, 1e6, source, assumed=True) if deviation else None


def by_residuals(points: Sequence[tuple[float, float]]) -> Noise | None:
    """The noise of single runs along one setting, around a parabola.

    Args:
        points: The logarithm of the setting, and the score.

    Returns:
        None for fewer than five points.
    """
    freedom = len(points) - 3
    if freedom < _LEAST_RESIDUAL_FREEDOM:
        return None
    rest = _without_parabola([x for x, _ in points], [y for _, y in points])
    variance = math.fsum(value**2 for value in rest) / freedom
    if variance <= 0:
        return None
    source = f"by the scatter of {len(points)} runs around a smooth curve"
    return Noise(math.sqrt(variance), freedom, source)


def _without_parabola(xs: Sequence[float], ys: Sequence[float]) -> list[float]:
    """The residuals of a parabola fitted to values, by orthogonal polynomials."""
    mean = fmean(xs)
    rest = list(ys)
    basis: list[list[float]] = []
    for power in range(3):
        column = [(x - mean) ** power for x in xs]
        for other in basis:
            column = _minus_projection(column, other)
        if math.fsum(value**2 for value in column) < 1e-12:
            continue
        basis.append(column)
        rest = _minus_projection(rest, column)
    return rest


def _minus_projection(values: list[float], onto: list[float]) -> list[float]:
    scale = math.fsum(a * b for a, b in zip(values, onto, strict=True)) / math.fsum(
        b * b for b in onto
    )
    return [a - scale * b for a, b in zip(values, onto, strict=True)]
