"""Curves: a run's loss and gradient norm over the samples seen."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from .observations import Observation


def robust_scale(values: Sequence[float]) -> float:
    """1.4826 x median absolute deviation; the standard deviation of normal values."""
    centre = median(values)
    return 1.4826 * median([abs(v - centre) for v in values])


POINT_STEPS = 16
"""Optimizer steps per point of a curve in the run history."""

_SHORT = 4 * POINT_STEPS
"""A run of fewer steps would have hardly a point before it is half over."""


def point_steps(max_steps: int | None) -> int:
    """Optimizer steps per point of the curve of a run: one in a short run.

    Args:
        max_steps: Optimizer steps of the whole run, where they are known.
    """
    return 1 if max_steps and max_steps < _SHORT else POINT_STEPS


@dataclass(frozen=True, slots=True)
class Point:
    """Means over a block of steps, at the samples seen by the last of them."""

    samples_seen: int
    loss: float
    grad_norm: float
    grad_noise: float | None = None
    """Mean noise in the squared norm (noise_scale.py); None if not measured."""

    def at_batch(self, noise_left: float) -> Point | None:
        """The point with the norm that another batch size would have given.

        Args:
            noise_left: The noise at the other batch size as a share of the noise
                here: this run's batch size over the other one.

        Returns:
            None if the noise was not measured.
        """
        if self.grad_noise is None:
            return None
        norm = norm_at_batch(self.grad_norm**2, self.grad_noise, noise_left)
        return replace(self, grad_norm=norm)


def norm_at_batch(squared_norm: float, noise: float, noise_left: float) -> float:
    """The gradient norm with another share of its noise.

    `E |g_B|^2 = |G|^2 + tr(S) / B` (arXiv 1812.06162, section 2.2): the batch size
    changes only the noise, in inverse proportion.
    """
    return math.sqrt(max(0.0, squared_norm - noise * (1 - noise_left)))


def points_of(
    observations: Iterable[Observation], every: int = POINT_STEPS
) -> list[Point]:
    """A run's curve, with one point for each block of so many steps.

    The means leave out steps that cannot be compared: not finite, not measured, or with
    uncounted samples. An incomplete block at the end gives no point.
    """
    points: list[Point] = []
    block: list[Observation] = []
    for o in observations:
        if o.comparable:
            block.append(o)
        if o.step % every == 0:
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
    """At most `most` of the points, evenly spread, including the last."""
    if len(points) <= most:
        return list(points)
    return [points[(i + 1) * len(points) // most - 1] for i in range(most)]


@dataclass(frozen=True, slots=True)
class Curve:
    """The smoothed curve of a finished run, read at any number of samples seen.

    Its points are the ones that the run history stores, so every rule that compares
    runs reads the same numbers.
    """

    run_id: str
    points: tuple[Point, ...]
    batch_ratio: float = 1.0
    """Its batch size over the batch size at which its gradient norms are read."""
    batch_size: int | None = None
    """Its batch size, where that differs from the one its norms are read at."""
    every: int = POINT_STEPS
    """Optimizer steps per point."""

    @classmethod
    def of(
        cls, run_id: str, observations: Iterable[Observation], every: int = POINT_STEPS
    ) -> Curve:
        """The curve of a run's steps."""
        return cls(run_id, tuple(points_of(observations, every)), every=every)

    def at(self, samples_seen: int, window: int = POINT_STEPS) -> Point | None:
        """The mean over the `window` steps before a number of samples.

        Between two points the curve is a straight line. A window is rounded to whole
        points, at least one.

        Returns:
            None before the window is full and after the last point, and where the
            batch sizes differ and the gradient noise was not measured.
        """
        left = bisect_right(self.points, samples_seen, key=_samples_seen) - 1
        right = bisect_left(self.points, samples_seen, key=_samples_seen)
        width = max(1, round(window / self.every))
        if left - width + 1 < 0 or right == len(self.points):
            return None
        share = _share(self.points[left], self.points[right], samples_seen)
        read = [
            _between(self.points[left - i], self.points[right - i], share)
            for i in range(width)
        ]
        mean = replace(_mean(read), samples_seen=samples_seen)
        return at_batch_ratio(mean, self.batch_ratio)


def at_batch_ratio(point: Point, batch_ratio: float) -> Point | None:
    """A point with its norm converted to another batch size; see `Point.at_batch`."""
    return point if batch_ratio == 1 else point.at_batch(batch_ratio)


def interpolate(left: Point, right: Point, samples_seen: int) -> Point:
    """The point on the line between two points, at a number of samples."""
    point = _between(left, right, _share(left, right, samples_seen))
    return replace(point, samples_seen=samples_seen)


def _samples_seen(point: Point) -> int:
    return point.samples_seen


def _share(left: Point, right: Point, samples_seen: int) -> float:
    width = right.samples_seen - left.samples_seen
    return (samples_seen - left.samples_seen) / width if width else 0.0


def _between(left: Point, right: Point, share: float) -> Point:
    return Point(
        right.samples_seen,
        left.loss + share * (right.loss - left.loss),
        left.grad_norm + share * (right.grad_norm - left.grad_norm),
        None
        if left.grad_noise is None or right.grad_noise is None
        else left.grad_noise + share * (right.grad_noise - left.grad_noise),
    )


def _mean(points: Sequence[Point]) -> Point:
    if len(points) == 1:
        return points[0]
    noise = [p.grad_noise for p in points if p.grad_noise is not None]
    return Point(
        points[0].samples_seen,
        math.fsum(p.loss for p in points) / len(points),
        math.fsum(p.grad_norm for p in points) / len(points),
        math.fsum(noise) / len(noise) if noise else None,
    )
