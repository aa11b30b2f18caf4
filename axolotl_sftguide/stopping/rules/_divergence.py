"""A loss or a gradient norm that rises above its level and stays there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from ...signals import Observation, robust_scale
from ...units import number
from ._base import Verdict

_FEW = 8
"""Fewer accepted values give no estimate of their spread."""

_FEW_MARGIN = 2.0
"""The least distance of the limit from a level of few values, as a share of it."""

_LEAST_DROP = 0.02
"""The least fall within a streak that counts as recovery, as a share of it."""


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
class _History:
    """The state of one signal."""

    accepted: tuple[float, ...] = ()
    lowest: _Level | None = None
    streak: _Streak = _Streak()


@dataclass(frozen=True, slots=True)
class _Signal:
    """One signal, compared with its own level."""

    name: str
    window: int
    sigmas: float
    margin: float
    patience: int
    lowest_counts: bool

    def add(
        self, history: _History, value: float, step: int
    ) -> tuple[_History, _Level | None]:
        """The state after one more value, and the level exceeded for good, if any."""
        level = self._level(history)
        if level is None or value <= level.limit:
            return self._accept(history, value), None
        streak = _Streak(
            (*history.streak.values, value)[-2 * self.patience :],
            history.streak.steps + 1,
            history.streak.start or step,
        )
        history = _History(history.accepted, history.lowest, streak)
        if streak.steps < self.patience:
            return history, None
        if _recovering(streak.values):
            waited = streak.steps >= 4 * self.patience
            return _History(streak.values[-self.window :]) if waited else history, None
        return history, level

    def _accept(self, history: _History, value: float) -> _History:
        # With few values, those that seemed too high are accepted too: after a first
        # value that was low by chance, only other low values would be accepted.
        held = history.streak.values if len(history.accepted) < _FEW else ()
        accepted = (*history.accepted, *held, value)[-self.window :]
        if not self.lowest_counts or len(accepted) < self.window:
            return _History(accepted, history.lowest)
        return _History(accepted, _lower(history.lowest, self._level_of(accepted)))

    def _level(self, history: _History) -> _Level | None:
        if not history.accepted:
            return None
        return _lower(history.lowest, self._level_of(history.accepted))

    def _level_of(self, values: tuple[float, ...]) -> _Level:
        middle = median(values)
        if len(values) < _FEW:
            few = max(self.margin, _FEW_MARGIN)
            return _Level(middle, middle + few * abs(middle))
        distance = max(self.sigmas * robust_scale(values), self.margin * abs(middle))
        return _Level(middle, middle + distance)


@dataclass(frozen=True, slots=True)
class _State:
    loss: _History = _History()
    grad_norm: _History = _History()


@dataclass(frozen=True, slots=True)
class Divergence:
    """Loss or norm above the run's own robust level for `patience` steps in a row.

    Both signals are compared with a window of the run, as in OLMo's guard that skips
    steps; here, such steps must continue before the run is stopped. The level is the
    median of the last `window` accepted values. The limit lies `sigmas` x 1.4826 MAD
    above it, at least `margin` of the level (`norm_margin` for the norm). The loss is
    also compared with the lowest level so far, so that a slow climb does not raise
    the level with it. A norm may grow over a good run, so only a jump counts. Values
    above the limit are not accepted, so that a spike does not raise the level as it
    would a moving mean. Non-finite steps are skipped, so that one NaN does not disable
    the rule.

    Spikes recover: a streak whose second half is lower than its first does not count
    yet. After four times the patience its level becomes the level of the run, for
    example when the data change.
    """

    window: int
    sigmas: float
    margin: float
    patience: int
    norm_margin: float
    name: str = "divergence"
    loss_counts: bool = True
    """Whether the loss is watched; not where it is no measure of progress."""

    def init(self) -> _State:
        """The state before the first step."""
        return _State()

    def step(
        self, state: _State, observation: Observation
    ) -> tuple[_State, Verdict | None]:
        """Accept both signals into their levels, or extend a streak above the limit."""
        if not observation.finite:
            return state, None
        step = observation.step
        loss, exceeded = state.loss, None
        if self.loss_counts:
            loss, exceeded = self._loss.add(loss, observation.loss, step)
        norm, norm_exceeded = state.grad_norm, None
        # A step without a trained token has norm zero, and one that the loss scaler
        # skipped has an infinite norm; neither is a level.
        if observation.measured and 0 < observation.grad_norm < math.inf:
            norm, norm_exceeded = self._norm.add(norm, observation.grad_norm, step)
        state = _State(loss, norm)
        if exceeded is not None:
            return state, self._verdict(self._loss, loss.streak, exceeded, observation)
        if norm_exceeded is not None:
            return state, self._verdict(
                self._norm, norm.streak, norm_exceeded, observation
            )
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
        self, signal: _Signal, streak: _Streak, exceeded: _Level, at: Observation
    ) -> Verdict:
        level, limit = number(exceeded.value), number(exceeded.limit)
        return Verdict(
            rule=self.name,
            reason=(
                f"median {signal.name} {number(median(streak.values))} over the last "
                f"{len(streak.values)} steps, above the limit {limit} since step "
                f"{streak.start}; the level before was {level}"
            ),
            step=at.step,
            samples_seen=at.samples_seen,
            bad_since=streak.start,
            figures={
                "level": exceeded.value,
                "limit": exceeded.limit,
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
