"""What is seen of a run: one observation per optimizer step, windows, curves."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Observation:
    """One optimizer step as the monitor saw it."""

    step: int
    """The optimizer step, counted from 1."""
    samples_seen: int
    """Training samples seen so far, over all ranks (packed or not)."""
    loss: float
    """The step's loss, as the host sums it over the accumulated micro batches."""
    grad_norm: float
    """Global L2 norm of the gradients before clipping; NaN if nobody knows it."""
    learning_rate: float
    """The learning rate that this step was taken with."""
    trained_tokens: int | None = None
    """Tokens of this step that carry a label, over all ranks; None if unknown."""
    grad_noise: float | None = None
    """The noise in the squared norm (noise_scale.py); None where not measured."""
    measured: bool = True
    """False where the norm is the host's logged one, not captured at the clip."""
    samples_counted: bool = True
    """False where the samples are epoch x dataset size, not counted from batches."""

    @property
    def finite(self) -> bool:
        """Whether the loss is finite, and the gradient norm where it was measured."""
        return math.isfinite(self.loss) and (
            math.isfinite(self.grad_norm) or not self.measured
        )


def window_logs(window: Sequence[Observation]) -> dict[str, float]:
    """What one logging window publishes, keyed as in the host's logs.

    Means and maxima are over the finite norms; the last norm is as it is.
    """
    if not window:
        return {}
    finite = [o.grad_norm for o in window if math.isfinite(o.grad_norm)]
    logs: dict[str, float] = {
        "sftguide/grad_norm_last": window[-1].grad_norm,
        "sftguide/nonfinite_steps": sum(not o.finite for o in window),
        "sftguide/samples_seen": window[-1].samples_seen,
    }
    if finite:
        logs["sftguide/grad_norm_mean"] = math.fsum(finite) / len(finite)
        logs["sftguide/grad_norm_max"] = max(finite)
    return logs


def mean_and_standard_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean of at least one value, and the standard error of that mean."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, math.inf
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    return mean, math.sqrt(variance / n)


def median(values: Sequence[float]) -> float:
    """The median of at least one value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def robust_scale(values: Sequence[float]) -> float:
    """1.4826 x the median absolute deviation: the standard deviation, if normal."""
    centre = median(values)
    return 1.4826 * median([abs(v - centre) for v in values])


POINT_STEPS = 16
"""Optimizer steps that make one point of a curve in the run history."""


@dataclass(frozen=True, slots=True)
class Point:
    """Means over some steps, at the samples seen by the last of them."""

    samples_seen: int
    loss: float
    grad_norm: float


def interpolate(left: Point, right: Point, samples_seen: int) -> Point:
    """The point on the line between two, at a number of samples between theirs."""
    width = right.samples_seen - left.samples_seen
    share = (samples_seen - left.samples_seen) / width if width else 0.0
    return Point(
        samples_seen,
        left.loss + share * (right.loss - left.loss),
        left.grad_norm + share * (right.grad_norm - left.grad_norm),
    )


def points_of(observations: Iterable[Observation]) -> list[Point]:
    """A run's curve, a point for each `POINT_STEPS` steps counted from the first.

    Steps that are not finite or not measured are left out of the means; what is left
    at the end, fewer steps than a point needs, is left out too.
    """
    points: list[Point] = []
    block: list[Observation] = []
    for o in observations:
        if o.finite and o.measured:
            block.append(o)
        if o.step % POINT_STEPS == 0:
            if block:
                loss = math.fsum(x.loss for x in block) / len(block)
                norm = math.fsum(x.grad_norm for x in block) / len(block)
                points.append(Point(o.samples_seen, loss, norm))
            block = []
    return points


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most so many of the points, evenly spread, the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[(i + 1) * len(points) // most - 1] for i in range(most)]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A run's two signals averaged over the steps that end at some sample count."""

    loss: float
    loss_error: float
    grad_norm: float
    grad_norm_error: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A finished run's finite steps, to be read at any number of samples seen."""

    run_id: str
    samples_seen: tuple[int, ...]
    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]

    @classmethod
    def of(cls, run_id: str, observations: Iterable[Observation]) -> Curve:
        """The curve of the finite, measured steps, in order."""
        kept = [o for o in observations if o.finite and o.measured]
        return cls(
            run_id,
            tuple(o.samples_seen for o in kept),
            tuple(o.loss for o in kept),
            tuple(o.grad_norm for o in kept),
        )

    def at(self, samples_seen: int, window: int) -> CurvePoint | None:
        """Averages over the `window` steps up to a sample count.

        None before the window is full, and beyond the end of the curve.
        """
        end = bisect_right(self.samples_seen, samples_seen)
        if end < window or samples_seen > self.samples_seen[-1]:
            return None
        loss = mean_and_standard_error(self.losses[end - window : end])
        norm = mean_and_standard_error(self.grad_norms[end - window : end])
        return CurvePoint(*loss, *norm)
