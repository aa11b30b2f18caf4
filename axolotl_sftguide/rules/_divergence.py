"""A loss that leaves the run's own recent level and does not come back."""

from __future__ import annotations

from dataclasses import dataclass

from ..signals import Observation, median, robust_scale
from ..units import number
from ._base import Verdict


@dataclass(frozen=True, slots=True)
class _State:
    accepted: tuple[float, ...] = ()
    streak: tuple[float, ...] = ()
    streak_start: int = 0


@dataclass(frozen=True, slots=True)
class Divergence:
    """Loss above the run's own robust recent level for `patience` steps in a row.

    The level is the median of the last `window` accepted losses, the distance
    `sigmas` x 1.4826 MAD, at least `margin` of the level. Losses of a streak are not
    accepted, so a spike cannot raise the level it is judged by (the trap of a plain
    moving mean), and a non-finite loss is passed over, so one NaN cannot blind it.
    Spikes recover: a streak whose second half lies below its first half by more than
    the scale is recovering, and is given `patience` more steps.
    """

    window: int
    sigmas: float
    margin: float
    patience: int
    name: str = "divergence"

    def init(self) -> _State:
        """Nothing seen."""
        return _State()

    def step(
        self, state: _State, observation: Observation
    ) -> tuple[_State, Verdict | None]:
        """Accept the loss into the level, or lengthen the streak above it."""
        if not observation.finite:
            return state, None
        if not state.accepted:
            return _State((observation.loss,)), None
        level = median(state.accepted)
        scale = self._scale(state.accepted)
        limit = level + max(self.sigmas * scale, self.margin * abs(level))
        if observation.loss <= limit:
            accepted = (*state.accepted, observation.loss)[-self.window :]
            return _State(accepted), None

        streak = (*state.streak, observation.loss)
        start = state.streak_start or observation.step
        if len(streak) < self.patience:
            return _State(state.accepted, streak, start), None
        if self._recovering(streak[-self.patience :], scale):
            return self._wait(state.accepted, streak, start), None
        return _State(state.accepted, streak, start), Verdict(
            rule=self.name,
            reason=(
                f"loss {number(median(streak[-self.patience :]))} over the last "
                f"{self.patience} steps, above {number(limit)} since step {start}; "
                f"its own level before was {number(level)}"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=start,
            figures={"level": level, "limit": limit, "streak": len(streak)},
        )

    def _scale(self, accepted: tuple[float, ...]) -> float:
        # Fewer than 8 values say nothing of their spread: the margin alone holds.
        return robust_scale(accepted) if len(accepted) >= 8 else 0.0

    def _recovering(self, streak: tuple[float, ...], scale: float) -> bool:
        half = len(streak) // 2
        drop = median(streak[:half]) - median(streak[half:])
        return drop > max(scale, 0.02 * abs(median(streak)))

    def _wait(
        self, accepted: tuple[float, ...], streak: tuple[float, ...], start: int
    ) -> _State:
        # A loss that keeps falling after a jump is a new phase of the data, not a
        # divergence: after four times the patience its level becomes the run's.
        if len(streak) < 4 * self.patience:
            return _State(accepted, streak, start)
        return _State(streak[-self.patience :][-self.window :])
