"""A loss that leaves the level it had reached and does not come back."""

from __future__ import annotations

from dataclasses import dataclass

from ..signals import Observation, median, robust_scale
from ..units import number
from ._base import Verdict

_FEW = 8
"""Fewer accepted losses than these say nothing of their spread."""

_FEW_MARGIN = 2.0
"""The least distance from a level of few losses, as a share of it."""

_LEAST_DROP = 0.02
"""The least fall within a streak that counts as recovering, as a share of it."""


@dataclass(frozen=True, slots=True)
class _Level:
    loss: float
    limit: float


@dataclass(frozen=True, slots=True)
class _State:
    accepted: tuple[float, ...] = ()
    lowest: _Level | None = None
    streak: tuple[float, ...] = ()
    streak_steps: int = 0
    streak_start: int = 0


@dataclass(frozen=True, slots=True)
class Divergence:
    """Loss above the run's own robust level for `patience` steps in a row.

    The level is the median of the last `window` accepted losses, the distance
    `sigmas` x 1.4826 MAD, at least `margin` of the level; the lowest such level of
    the run holds too, so that a slow climb does not carry the window along. Losses of
    a streak are not accepted, so a spike cannot raise the level it is judged by (the
    trap of a plain moving mean), and a non-finite loss is passed over, so one NaN
    cannot blind it.

    Spikes recover: a streak whose second half lies below its first is waited for,
    and after four times the patience its level becomes the run's, as at the start of
    another kind of data.
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
        level = self._level(state)
        if level is None or observation.loss <= level.limit:
            return self._accept(state, observation.loss), None

        state = _State(
            state.accepted,
            state.lowest,
            (*state.streak, observation.loss)[-2 * self.patience :],
            state.streak_steps + 1,
            state.streak_start or observation.step,
        )
        if state.streak_steps < self.patience:
            return state, None
        if self._recovering(state.streak):
            waited = state.streak_steps >= 4 * self.patience
            return _State(state.streak[-self.window :]) if waited else state, None
        return state, Verdict(
            rule=self.name,
            reason=(
                f"loss {number(median(state.streak))} over the last "
                f"{len(state.streak)} steps, above {number(level.limit)} since step "
                f"{state.streak_start}; its own level before was {number(level.loss)}"
            ),
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=state.streak_start,
            figures={
                "level": level.loss,
                "limit": level.limit,
                "streak": state.streak_steps,
            },
        )

    def _accept(self, state: _State, loss: float) -> _State:
        # While little is known, what was held to be high comes in too: a first loss
        # that was low by chance would else admit none but its like.
        held = state.streak if len(state.accepted) < _FEW else ()
        accepted = (*state.accepted, *held, loss)[-self.window :]
        if len(accepted) < self.window:
            return _State(accepted, state.lowest)
        return _State(accepted, _lower(state.lowest, self._level_of(accepted)))

    def _level(self, state: _State) -> _Level | None:
        if not state.accepted:
            return None
        return _lower(state.lowest, self._level_of(state.accepted))

    def _level_of(self, losses: tuple[float, ...]) -> _Level:
        loss = median(losses)
        if len(losses) < _FEW:
            return _Level(loss, loss + max(self.margin, _FEW_MARGIN) * abs(loss))
        distance = max(self.sigmas * robust_scale(losses), self.margin * abs(loss))
        return _Level(loss, loss + distance)

    @staticmethod
    def _recovering(streak: tuple[float, ...]) -> bool:
        half = len(streak) // 2
        drop = median(streak[:half]) - median(streak[half:])
        return drop > _LEAST_DROP * abs(median(streak))


def _lower(lowest: _Level | None, level: _Level) -> _Level:
    if lowest is None or level.limit < lowest.limit:
        return level
    return lowest
