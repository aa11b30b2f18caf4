"""The curve of a run as it trains: whole points, and the steps of the next one."""

from __future__ import annotations

from collections.abc import Sequence

from ..signals import Observation, Point, point_steps, points_of


class GrowingCurve:
    """Turns steps into the points of a curve.

    Args:
        max_steps: Optimizer steps of the whole run.
        resumed_at: The step from which it is resumed, or 0.
        past: Its steps before that.
    """

    def __init__(
        self, max_steps: int, resumed_at: int, past: Sequence[Observation]
    ) -> None:
        self._every = point_steps(max_steps)
        in_points = resumed_at // self._every * self._every
        self._open = [o for o in past if o.step > in_points]

    def add(self, observations: Sequence[Observation]) -> list[Point]:
        """The points that these steps complete."""
        steps = [*self._open, *observations]
        whole = [i for i, o in enumerate(steps, start=1) if o.step % self._every == 0]
        end = whole[-1] if whole else 0
        self._open = steps[end:]
        return points_of(steps[:end], self._every)
