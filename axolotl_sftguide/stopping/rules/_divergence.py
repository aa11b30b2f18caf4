"""A loss or a gradient norm that leaves the level it had reached and stays away."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from ...signals import Observation, robust_scale
from ...units import number
from ._base import Verdict

_FEW = 8
"""Fewer accepted values than these say nothing of their spread."""

_FEW_MARGIN = 2.0
"""The least distance from a level of few values, as a share of it."""

_LEAST_DROP = 0.02
"""The least fall within a streak that counts as recovering, as a share of it."""


@dataclass(frozen=True, slots=True)
class _Level:
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class _Streak:
    """Values in a row above the limit."""

    values: tuple[float, ...] = ()
    steps: int = 0
    start: int = 0


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of one signal."""

    accepted: tuple[float, ...] = ()
    lowest: _Level | None = None
    streak: _Streak = _Streak()


@dataclass(frozen=True, slots=True)
class _Signal:
    """Watches one signal's own level."""

    name: str
    window: int
    sigmas: float
    margin: float
    patience: int
    lowest_counts: bool

    def see(self, seen: _Seen, value: float, step: int) -> tuple[_Seen, _Level | None]:
        """With one value more; the level that it has left, if it has for good."""
        level = self._level(seen)
        if level is None or value <= level.limit:
            return self._accept(seen, value), None
        streak = _Streak(
            (*seen.streak.values, value)[-2 * self.patience :],
            seen.streak.steps + 1,
            seen.streak.start or step,
        )
        seen = _Seen(seen.accepted, seen.lowest, streak)
        if streak.steps < self.patience:
            return seen, None
        if _recovering(streak.values):
            waited = streak.steps >= 4 * self.patience
            return _Seen(streak.values[-self.window :]) if waited else seen, None
        return seen, level

    def _accept(self, seen: _Seen, value: float) -> _Seen:
        # While little is known, what was held to be high comes in too: a first value
        # that was low by chance would else admit none but its like.
        held = seen.streak.values if len(seen.accepted) < _FEW else ()
        accepted = (*seen.accepted, *held, value)[-self.window :]
        if not self.lowest_counts or len(accepted) < self.window:
            return _Seen(accepted, seen.lowest)
        return _Seen(accepted, _lower(seen.lowest, self._level_of(accepted)))

    def _level(self, seen: _Seen) -> _Level | None:
        if not seen.accepted:
            return None
        return _lower(seen.lowest, self._level_of(seen.accepted))

    def _level_of(self, values: tuple[float, ...]) -> _Level:
        middle = median(values)
        if len(values) < _FEW:
            few = max(self.margin, _FEW_MARGIN)
            return _Level(middle, middle + few * abs(middle))
        distance = max(self.sigmas * robust_scale(values), self.margin * abs(middle))
        return _Level(middle, middle + distance)


@dataclass(frozen=True, slots=True)
class _State:
    loss: _Seen = _Seen()
    grad_norm: _Seen = _Seen()


@dataclass(frozen=True, slots=True)
class Divergence:
    """Loss or norm above the run's own robust level for `patience` steps in a row.

    Both signals are held against a window, as in OLMo's guard that skips steps; here
    such steps have to go on for the run to end. The level is the median of the last
    `window` accepted values, the distance `sigmas` x 1.4826 MAD, at least `margin`
    (for the norm `norm_margin`) of the level. For the loss the lowest such level of
    the run holds too, so that a slow climb does not carry the window along; a norm
    may grow over a good run, so only a leap of it counts. Values of a streak are not
    accepted, so a spike cannot raise the level it is judged by (the trap of a plain
    moving mean), and a non-finite step is passed over, so one NaN cannot blind it.

    Spikes recover: a streak whose second half lies below its first is waited for,
    and after four times the patience its level becomes the run's, as at the start of
    another kind of data.
    """

    window: int
    sigmas: float
    margin: float
    patience: int
    norm_margin: float
    name: str = "divergence"

    def init(self) -> _State:
        """Nothing seen."""
        return _State()

    def step(
        self, state: _State, observation: Observation
    ) -> tuple[_State, Verdict | None]:
        """Accept both signals into their levels, or lengthen a streak above one."""
        if not observation.finite:
            return state, None
        step = observation.step
        loss, left = self._loss.see(state.loss, observation.loss, step)
        norm, norm_left = state.grad_norm, None
        # A step without a trained token has no norm to judge by.
        if observation.measured and observation.grad_norm > 0:
            norm, norm_left = self._norm.see(norm, observation.grad_norm, step)
        state = _State(loss, norm)
        if left is not None:
            return state, self._verdict(self._loss, loss.streak, left, observation)
        if norm_left is not None:
            return state, self._verdict(self._norm, norm.streak, norm_left, observation)
        return state, None

    @property
    def _loss(self) -> _Signal:
        return _Signal(
            "loss", self.window, self.sigmas, self.margin, self.patience, True
        )

    @property
    def _norm(self) -> _Signal:
        margin = self.norm_margin
        return _Signal(
            "gradient norm", self.window, self.sigmas, margin, self.patience, False
        )

    def _verdict(
        self, signal: _Signal, streak: _Streak, left: _Level, at: Observation
    ) -> Verdict:
        return Verdict(
            rule=self.name,
            reason=(
                f"{signal.name} {number(median(streak.values))} over the last "
                f"{len(streak.values)} steps, above {number(left.limit)} since step "
                f"{streak.start}; its own level before was {number(left.value)}"
            ),
            step=at.step,
            samples_seen=at.samples_seen,
            bad_since=streak.start,
            figures={
                "level": left.value,
                "limit": left.limit,
                "streak": streak.steps,
            },
        )


def _recovering(streak: tuple[float, ...]) -> bool:
    half = len(streak) // 2
    drop = median(streak[:half]) - median(streak[half:])
    return drop > _LEAST_DROP * abs(median(streak))


def _lower(lowest: _Level | None, level: _Level) -> _Level:
    if lowest is None or level.limit < lowest.limit:
        return level
    return lowest
