"""Curves: loss and gradient norm of a run over the samples seen."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .observations import Observation


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
    grad_noise: float | None = None
    """Mean noise in the squared norm (noise_scale.py); None where not measured."""

    def at_batch(self, noise_left: float) -> Point | None:
        """With the norm that steps of another batch size would have had.

        Args:
            noise_left: The noise that would be left, as a share of what there is: the
                own batch size over the other one.

        Returns:
            None where the noise was not measured.
        """
        if self.grad_noise is None:
            return None
        norm = norm_at_batch(self.grad_norm**2, self.grad_noise, noise_left)
        return replace(self, grad_norm=norm)


def norm_at_batch(squared_norm: float, noise: float, noise_left: float) -> float:
    """The gradient norm with another share of its noise.

    `E |g_B|^2 = |G|^2 + tr(S) / B` (arXiv 1812.06162, section 2.2): with the batch
    size only the noise changes, in inverse proportion.
    """
    return math.sqrt(max(0.0, squared_norm - noise * (1 - noise_left)))


def at_batch(
    observations: Iterable[Observation], noise_left: float
) -> list[Observation]:
    """Steps as steps of another batch size would have been; see `Point.at_batch`.

    The noise of a step is the mean over the last measured ones. Steps before the
    first of them are left out.
    """
    measured: deque[float] = deque(maxlen=POINT_STEPS)
    found = []
    for o in observations:
        if o.grad_noise is not None and o.finite:
            measured.append(o.grad_noise)
        if measured and o.finite:
            noise = math.fsum(measured) / len(measured)
            norm = norm_at_batch(o.grad_norm**2, noise, noise_left)
            found.append(replace(o, grad_norm=norm))
    return found


def interpolate(left: Point, right: Point, samples_seen: int) -> Point:
    """The point on the line between two, at a number of samples between theirs."""
    width = right.samples_seen - left.samples_seen
    share = (samples_seen - left.samples_seen) / width if width else 0.0
    return Point(
        samples_seen,
        left.loss + share * (right.loss - left.loss),
        left.grad_norm + share * (right.grad_norm - left.grad_norm),
        None
        if left.grad_noise is None or right.grad_noise is None
        else left.grad_noise + share * (right.grad_noise - left.grad_noise),
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
                points.append(_point(block, o.samples_seen))
            block = []
    return points


def _point(block: Sequence[Observation], samples_seen: int) -> Point:
    noise = [o.grad_noise for o in block if o.grad_noise is not None]
    return Point(
        samples_seen,
        math.fsum(o.loss for o in block) / len(block),
        math.fsum(o.grad_norm for o in block) / len(block),
        math.fsum(noise) / len(noise) if noise else None,
    )


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
    batch_size: int | None = None
    """Its own, where its norms are stated at another one."""

    @classmethod
    def of(
        cls,
        run_id: str,
        observations: Iterable[Observation],
        batch_size: int | None = None,
    ) -> Curve:
        """The curve of the finite, measured steps, in order."""
        kept = [o for o in observations if o.finite and o.measured]
        return cls(
            run_id,
            tuple(o.samples_seen for o in kept),
            tuple(o.loss for o in kept),
            tuple(o.grad_norm for o in kept),
            batch_size,
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
