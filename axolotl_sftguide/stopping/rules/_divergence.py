"""A loss or a gradient norm that rises above its level and stays there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import median

from ...signals import Observation
from ...units import number
from ._base import Verdict
from ._blocks import NO_BLOCKS, Blocks
from ._level import NO_HISTORY, History, Level, Signal

_FIRST = 4
"""Losses that are the start of a run which diverges within its first steps."""

_SOON = 24
"""Within so many steps the data are still alike, so a jump is no change of data."""

_WORSE = 1.5
"""Times the worst of the first losses; no run that learns stays above it."""

_TINY = 0.05
"""Losses below this may grow many times over and still be small."""

_SHARE = 0.1
_LONG = 100
"""How long the loss must have stayed above the start: a share of the run, and steps
where its length is unknown."""

_LEAST_PATIENCE = 8
_LEAST_WINDOW = 12
"""Patience and window are at most a tenth of the run, but not below these."""


@dataclass(frozen=True, slots=True)
class _Start:
    """The first losses, and all of them in blocks."""

    first: tuple[float, ...] = ()
    curve: Blocks = NO_BLOCKS

    def add(self, loss: float) -> _Start:
        if not self.first and loss == 0:  # no level: logged before the first loss
            return self
        return _Start((*self.first, loss)[:_SOON], self.curve.add(loss))


@dataclass(frozen=True, slots=True)
class _State:
    loss: History = NO_HISTORY
    grad_norm: History = NO_HISTORY
    start: _Start = _Start()
    seen: int = 0
    """Observations so far."""


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
    yet. After four times the patience its level becomes the level of the run. A loss
    that has jumped, but not above the level of the first steps, may be that of other
    data, as where a phase begins: it counts only if it lasts and does not fall.

    A run may diverge within its first steps, before it has a level. It is found if the
    loss jumps to 1.5 times the worst of the first four, and stays there for a tenth of
    the run.
    """

    window: int
    sigmas: float
    margin: float
    patience: int
    norm_margin: float
    max_steps: int | None = None
    """Optimizer steps of the whole run, where they are known."""
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
        state = replace(state, seen=state.seen + 1)
        if not observation.finite:
            return state, None
        step, length = observation.step, self._length(state, observation)
        loss, start, exceeded = state.loss, state.start, None
        if self.loss_counts:
            start = start.add(observation.loss)
            if start.first:
                loss, exceeded = self._loss(length).add(loss, observation.loss, step)
        norm, norm_exceeded = state.grad_norm, None
        # A step without a trained token has norm zero, and one that the loss scaler
        # skipped has an infinite norm; neither is a level.
        if observation.measured and 0 < observation.grad_norm < math.inf:
            norm, norm_exceeded = self._norm(length).add(
                norm, observation.grad_norm, step
            )
        state = _State(loss, norm, start, state.seen)
        if exceeded is not None:
            return state, self._verdict("loss", loss, exceeded, observation)
        if norm_exceeded is not None:
            found = self._verdict("gradient norm", norm, norm_exceeded, observation)
            return state, found
        return state, self._jumped_at_start(start, observation)

    def limits(
        self, state: _State, observation: Observation
    ) -> tuple[float | None, float | None]:
        """The limits on loss and gradient norm after a step; None without a level."""
        length = self._length(state, observation)
        loss = self._loss(length).limit(state.loss) if self.loss_counts else None
        return loss, self._norm(length).limit(state.grad_norm)

    def _length(self, state: _State, observation: Observation) -> float | None:
        """How many values the whole run has, if it is logged as it was so far."""
        if self.max_steps is None or observation.step < 1:
            return None
        return self.max_steps * state.seen / observation.step

    def _patience(self, length: float | None) -> int:
        return _at_most(self.patience, _LEAST_PATIENCE, length)

    def _window(self, length: float | None) -> int:
        return _at_most(self.window, _LEAST_WINDOW, length)

    def _loss(self, length: float | None) -> Signal:
        return Signal(
            "loss",
            self._window(length),
            self.sigmas,
            self.margin,
            self._patience(length),
            lowest_counts=True,
            length=length,
        )

    def _norm(self, length: float | None) -> Signal:
        return Signal(
            "gradient norm",
            self._window(length),
            self.sigmas,
            self.norm_margin,
            self._patience(length),
            lowest_counts=False,
        )

    def _jumped_at_start(self, start: _Start, at: Observation) -> Verdict | None:
        lasting = round(_SHARE * self.max_steps) if self.max_steps else _LONG
        count = start.curve.count
        if len(start.first) < _SOON or at.step < lasting:
            return None
        before = max(start.first[:_FIRST])
        limit = _WORSE * before
        # Nearly all of them: the first ones may be low by chance.
        soon = sorted(start.first[_SOON // 3 :])[1]
        now = median(start.curve.last(max(_SOON, count // 2)))
        if before <= _TINY or min(soon, now) <= limit:
            return None
        return Verdict(
            rule=self.name,
            reason=(
                f"median loss {number(now)} over the last half of {count} values; the "
                f"first {_FIRST} were at most {number(before)}"
            ),
            step=at.step,
            samples_seen=at.samples_seen,
            bad_since=_FIRST + 1,
            figures={"level": before, "limit": limit, "streak": count - _FIRST},
            signals=("loss",),
        )

    def _verdict(
        self, signal: str, history: History, exceeded: Level, at: Observation
    ) -> Verdict:
        streak = history.streak
        level, limit = number(exceeded.value), number(exceeded.limit)
        return Verdict(
            rule=self.name,
            reason=(
                f"median {signal} {number(median(streak.values))} over the last "
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
            signals=("loss" if signal == "loss" else "grad_norm",),
        )


def _at_most(steps: int, least: int, length: float | None) -> int:
    if length is None:
        return steps
    return min(steps, max(least, round(_SHARE * length)))
