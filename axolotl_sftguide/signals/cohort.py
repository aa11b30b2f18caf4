"""What earlier runs were like at a number of samples: quantiles, not curves."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .correlation import spearman

GRID = 128
"""Sample counts at which a cohort is read."""


@dataclass(frozen=True, slots=True)
class CohortPoint:
    """The quantiles at one number of samples."""

    grad_norm: float
    """That share of the peers had a lower norm."""
    loss: float
    """That share of the peers had a higher loss."""
    peers: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """A cohort on a grid of sample counts; its size does not grow with the runs."""

    quantile: float
    samples_seen: tuple[int, ...]
    points: tuple[CohortPoint, ...]
    doubt: str | None = None
    """Why the signals are not to be trusted among these runs, if they are not."""

    @classmethod
    def of(
        cls,
        read: Iterable[tuple[int, Sequence[tuple[float, float]]]],
        quantile: float,
        doubt: str | None = None,
    ) -> Cohort:
        """From sample counts, each with the loss and the norm of every peer there."""
        samples, points = [], []
        for at, peers in read:
            if not peers:
                continue
            losses = [loss for loss, _ in peers]
            norms = [norm for _, norm in peers]
            found = CohortPoint(
                quantile_of(norms, quantile),
                quantile_of(losses, 1 - quantile),
                len(peers),
            )
            samples.append(at)
            points.append(found)
        return cls(quantile, tuple(samples), tuple(points), doubt)

    def at(self, samples_seen: int) -> CohortPoint | None:
        """Between two points of the grid a line; None outside of it."""
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
        )


EARLY = 0.25
"""Share of the runs at which their signals are held against their scores."""


def doubt_of(runs: Sequence[tuple[float, float, float]]) -> str | None:
    """Why earlier runs do not bear the rule out; None where they do.

    The paper has lower early norms and higher early losses with the better scores
    (arXiv 2412.13337, section 4). A signal whose rank correlation with the score
    cannot be told from zero here, or goes the other way, is doubted.

    Args:
        runs: Early loss, early norm and final score of each, more being better.
    """
    doubts = []
    for name, sign, index in (("gradient norm", -1, 1), ("loss", 1, 0)):
        found = spearman([run[index] for run in runs], [run[2] for run in runs])
        if found is None:
            doubts.append(f"the {name} of {len(runs)} runs says nothing of their score")
        elif not found.clear or found.value * sign < 0:
            doubts.append(
                f"on {len(runs)} runs the early {name} goes with the score by "
                f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"
            )
    return " and ".join(doubts) or None


def grid(first: int, last: int) -> list[int]:
    """At most `GRID` sample counts from the first to the last, evenly."""
    if last <= first:
        return [first] if last == first else []
    count = min(GRID, last - first + 1)
    return [first + round(i * (last - first) / (count - 1)) for i in range(count)]


def quantile_of(values: Sequence[float], share: float) -> float:
    """The quantile with a line between neighbours (type 7), of at least one value."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    left = min(int(position), len(ordered) - 1)
    right = min(left + 1, len(ordered) - 1)
    return ordered[left] + (position - left) * (ordered[right] - ordered[left])
