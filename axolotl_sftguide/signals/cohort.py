"""A cohort: quantiles over the finished runs at each number of samples."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .correlation import spearman

GRID = 128
"""The most sample counts at which a cohort is read."""


@dataclass(frozen=True, slots=True)
class CohortPoint:
    """The quantiles at one number of samples."""

    grad_norm: float
    """The share `quantile` of the peers has a lower norm."""
    loss: float
    """The share `quantile` of the peers has a higher loss."""
    peers: int
    """Earlier runs; repeats of a setting count once."""
    grad_norm_error: float = 0.0
    """The standard error of the norm's quantile."""
    loss_error: float = 0.0
    """The standard error of the loss's quantile."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Quantiles on a grid of sample counts; its size is independent of the runs."""

    quantile: float
    samples_seen: tuple[int, ...]
    points: tuple[CohortPoint, ...]
    doubt: str | None = None
    """Why the signals do not predict the scores of these runs; None if they do."""

    @classmethod
    def of(
        cls,
        peers_at: Iterable[tuple[int, Sequence[tuple[float, float]]]],
        quantile: float,
        doubt: str | None = None,
    ) -> Cohort:
        """The cohort from sample counts, each with the peers' losses and norms."""
        samples, points = [], []
        for at, peers in peers_at:
            if not peers:
                continue
            losses = [loss for loss, _ in peers]
            norms = [norm for _, norm in peers]
            found = CohortPoint(
                quantile_of(norms, quantile),
                quantile_of(losses, 1 - quantile),
                len(peers),
                quantile_error(norms, quantile),
                quantile_error(losses, 1 - quantile),
            )
            samples.append(at)
            points.append(found)
        return cls(quantile, tuple(samples), tuple(points), doubt)

    def at(self, samples_seen: int) -> CohortPoint | None:
        """The quantiles, interpolated between grid points; None outside the grid."""
        if not self.points or not (
            self.samples_seen[0] <= samples_seen <= self.samples_seen[-1]
        ):
            return None
        right = bisect_left(self.samples_seen, samples_seen)
        after = self.points[right]
        if self.samples_seen[right] == samples_seen:
            return after
        before = self.points[right - 1]
        start, end = self.samples_seen[right - 1], self.samples_seen[right]
        share = (samples_seen - start) / (end - start)
        return CohortPoint(
            before.grad_norm + share * (after.grad_norm - before.grad_norm),
            before.loss + share * (after.loss - before.loss),
            min(before.peers, after.peers),
            max(before.grad_norm_error, after.grad_norm_error),
            max(before.loss_error, after.loss_error),
        )


EARLY = 0.25
"""The share of a run at which its signals are correlated with the scores."""


def doubt_of(settings: Sequence[tuple[float, float, float]]) -> str | None:
    """Why earlier settings do not support the cohort rule; None if they do.

    In arXiv 2412.13337, section 4, lower early norms and higher early losses go with
    better scores. A signal is doubted if its rank correlation with the score is not
    clearly different from zero in these settings, or has the opposite sign.

    Args:
        settings: Early loss, early norm and final score of each setting, as means over
            its repeats; a higher score is better.
    """
    doubts = []
    for name, sign, index in (("gradient norm", -1, 1), ("loss", 1, 0)):
        found = spearman([s[index] for s in settings], [s[2] for s in settings])
        if found is None:
            doubts.append(
                f"{len(settings)} settings do not show whether the early {name} "
                "predicts the score"
            )
        elif not found.clear or found.value * sign < 0:
            doubts.append(
                f"the early {name} correlates with the score at {found.value:+.2f} "
                f"(95% interval {found.low:+.2f} to {found.high:+.2f}) "
                f"over {len(settings)} settings"
            )
    return " and ".join(doubts) or None


def grid(first: int, last: int) -> list[int]:
    """At most `GRID` evenly spaced sample counts from the first to the last."""
    if last <= first:
        return [first] if last == first else []
    count = min(GRID, last - first + 1)
    return [first + round(i * (last - first) / (count - 1)) for i in range(count)]


def quantile_of(values: Sequence[float], share: float) -> float:
    """The interpolated quantile (type 7) of at least one value."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    left = min(int(position), len(ordered) - 1)
    right = min(left + 1, len(ordered) - 1)
    return ordered[left] + (position - left) * (ordered[right] - ordered[left])


def quantile_error(values: Sequence[float], share: float) -> float:
    """The standard error of a quantile: half the span between two other quantiles.

    These are one standard deviation of a binomial share apart from it, on either side.
    That needs no distribution of the values.
    """
    aside = math.sqrt(share * (1 - share) / len(values))
    high = quantile_of(values, min(1.0, share + aside))
    return (high - quantile_of(values, max(0.0, share - aside))) / 2
