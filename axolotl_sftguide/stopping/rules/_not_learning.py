"""A run that does not learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import fmean

from ...signals import Observation
from ...units import number
from ._base import Verdict
from ._blocks import NO_BLOCKS, Blocks, standard_error

_FIRST = 8
"""Losses at the start that are kept one by one."""

_FEW = 16
"""With fewer losses there is no level to compare the start with."""

_ENOUGH = 32
"""With fewer losses a run is too short to say that its loss does not change."""

_ZERO_LOSSES = 8
"""Losses of exactly zero, from the first on, that are more than rounding."""

_ZERO_RATES = 16
"""Steps in a row at a learning rate of zero that are more than a warmup's first."""

_SURE = 3.0
"""Standard errors that leave no doubt."""

_LEAST_FALL = 0.01
"""A smaller fall, as a share of the start, does not show that a run learns."""


@dataclass(frozen=True, slots=True)
class _State:
    zero_norm: int = 0
    no_tokens: int = 0
    zero_loss: int = 0
    zero_rate: int = 0
    trained: bool = False
    """Whether a gradient norm was above zero."""
    top_rate: float = 0.0
    since_rise: int = 0
    """Values since the learning rate was last higher than ever before."""
    first: tuple[float, ...] = ()
    curve: Blocks = NO_BLOCKS
    flat: int = 0
    learned: bool = False


@dataclass(frozen=True, slots=True)
class _Change:
    """How far the loss is below its start, with the standard error of that."""

    start: float
    now: float
    error: float

    @property
    def fall(self) -> float:
        return self.start - self.now


@dataclass(frozen=True, slots=True)
class NotLearning:
    """Nothing to learn from for `steps` steps, or a loss that stays where it began.

    A zero gradient norm, no trained tokens, a learning rate of zero or a loss that has
    been zero since the first step are certain. A flat loss is judged in two ways:

    - It is a warning if the loss has not fallen by more than noise, `sigmas` standard
      errors, when `share` of the run is done, for `patience` steps in a row.
    - It stops a run only on evidence that the loss did not change (an equivalence
      test): in the second half of the run, the largest fall that noise allows is below
      `margin` of the start.

    A loss is not flat before the last third of its values is after the warmup, and a
    norm of zero at a loss of zero that the run has reached is not found.

    The start is read as the first value, the first few, and the first third of the run,
    so that a fall within the first steps counts as well as a slow one. A loss that has
    risen is not flat: the divergence rule handles it. Once the loss has fallen, a flat
    loss is a plateau, and never found again.

    The signs of a good run in arXiv 2412.13337, lower norm and higher loss, are both
    strongest at a learning rate of zero.
    """

    steps: int
    grace: int
    sigmas: float
    margin: float
    patience: int
    share: float = 0.25
    max_steps: int | None = None
    """Optimizer steps of the whole run; if None, `grace` steps stand for `share`."""
    name: str = "not_learning"
    loss_counts: bool = True
    """Whether a flat loss is a sign; not where the loss is no measure of progress."""

    def init(self) -> _State:
        """The state before the first step."""
        return _State()

    def step(
        self, state: _State, observation: Observation
    ) -> tuple[_State, Verdict | None]:
        """Count steps with nothing to learn from; compare the loss with the start."""
        o = observation
        no_norm = o.grad_norm == 0.0 or not math.isfinite(o.grad_norm)
        untouched = state.curve.count == 0 or state.zero_loss > 0
        # Such as the loss of a margin, which is zero for samples that keep it.
        reached = state.trained and o.loss == 0
        zero_norm = o.measured and o.grad_norm == 0.0 and not reached
        rises = o.learning_rate > state.top_rate
        state = replace(
            state,
            zero_norm=state.zero_norm + 1 if zero_norm else 0,
            trained=state.trained or o.grad_norm > 0,
            top_rate=o.learning_rate if rises else state.top_rate,
            since_rise=0 if rises else state.since_rise + 1,
            no_tokens=state.no_tokens + 1 if o.trained_tokens == 0 else 0,
            zero_loss=state.zero_loss + 1 if o.loss == 0 and untouched else 0,
            zero_rate=state.zero_rate + 1 if o.learning_rate == 0 else 0,
        )
        if state.no_tokens >= self.steps:
            reason = f"no labelled tokens for {state.no_tokens} steps in a row"
            about = "trained_tokens"
            return state, self._verdict(o, reason, state.no_tokens, about=about)
        if state.zero_norm >= self.steps:
            reason = f"gradient norm zero for {state.zero_norm} steps in a row"
            return state, self._verdict(o, reason, state.zero_norm, about="grad_norm")
        if not self.loss_counts:
            return state, None
        if state.zero_loss >= max(self.steps, _ZERO_LOSSES) and no_norm:
            reason = f"the loss is zero since the first of {state.zero_loss} values"
            return state, self._verdict(o, reason, state.zero_loss)
        # Logs of exactly zero before the first loss are no level, and a step that the
        # loss scaler skipped changes no weight.
        unusable = not math.isfinite(o.loss) or state.zero_loss or o.skipped
        if state.learned or unusable:
            return state, None
        return self._judge_loss(state, o)

    def _judge_loss(
        self, state: _State, observation: Observation
    ) -> tuple[_State, Verdict | None]:
        first = (*state.first, observation.loss)[:_FIRST]
        curve = state.curve.add(observation.loss)
        closed = len(curve.means) != len(state.curve.means)
        state = replace(state, first=first, curve=curve)
        rate_is_zero = state.zero_rate >= _ZERO_RATES
        early = self._done(observation) < self.share and not rate_is_zero
        warmup = state.since_rise < curve.count // 3
        if early or (warmup and not rate_is_zero) or curve.count < _FEW or not closed:
            return state, None
        changes = list(_changes(first, curve))
        # Latched on clear evidence alone: there are many looks in a run.
        if any(_has_fallen(change, self.sigmas + _SURE / 2) for change in changes):
            return replace(state, flat=0, learned=True), None
        if rate_is_zero:
            reason = f"learning rate zero for {state.zero_rate} steps in a row"
            return state, self._verdict(observation, reason, state.zero_rate)
        if any(_has_fallen(change, self.sigmas) for change in changes):
            return replace(state, flat=0), None
        if _has_risen(changes[-1]):
            return replace(state, flat=0), None
        state = replace(state, flat=state.flat + state.curve.width)
        if state.flat < self.patience:
            return state, None
        return state, self._flat(changes, state, observation)

    def _done(self, observation: Observation) -> float:
        """The share of the run that is done."""
        if self.max_steps is None:
            return self.share * observation.step / self.grace
        return observation.step / self.max_steps

    def _flat(
        self, changes: list[_Change], state: _State, observation: Observation
    ) -> Verdict:
        whole = changes[-1]
        bound = abs(whole.fall) + _SURE * whole.error
        half_done = self._done(observation) >= 2 * self.share
        long_enough = half_done and state.curve.count >= _ENOUGH
        certain = long_enough and bound < self.margin * abs(whole.start)
        least = max(self.sigmas * whole.error, _LEAST_FALL * abs(whole.start))
        reason = (
            f"mean loss {number(whole.now)} over the last third of {state.curve.count} "
            f"values and {number(whole.start)} over the first third; "
        )
        if certain:
            percent = 100 * bound / abs(whole.start)
            reason += f"it has changed by at most {percent:.1f}%, noise included"
        else:
            reason += f"a fall of up to {number(least)} is noise"
        figures = {"began": whole.start, "now": whole.now, "least": least}
        return self._verdict(
            observation, reason, observation.step, figures, certain=certain
        )

    def _verdict(
        self,
        observation: Observation,
        reason: str,
        bad_steps: int,
        figures: dict[str, float] | None = None,
        *,
        certain: bool = True,
        about: str = "loss",
    ) -> Verdict:
        return Verdict(
            rule=self.name,
            reason=reason,
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=max(1, observation.step - bad_steps + 1),
            figures=figures or {},
            certain=certain,
            signals=(about,),
        )


def _changes(first: tuple[float, ...], curve: Blocks) -> Iterator[_Change]:
    """The change since each reading of the start; the last is that of whole thirds."""
    third = len(curve.means) // 3
    before, after = curve.means[:third], curve.means[-third:]
    middle = curve.means[-2 * third : -third]
    start, now = fmean(before), fmean(after)
    error = standard_error(middle, after)
    # Of the noise of single values, only their spread at the start is known.
    single = error * math.sqrt(third * curve.width)
    for count in (1, 2, 4, 8):
        # A single value is now and then far out.
        spread = single * (1.5 if count < 4 else 1.0) / math.sqrt(count)
        yield _Change(fmean(first[:count]), now, math.hypot(error, spread))
    blocks = 2
    while blocks < third:
        some = fmean(curve.means[:blocks])
        yield _Change(some, now, error * math.sqrt(1 + third / blocks))
        blocks *= 2
    yield _Change(start, now, math.hypot(max(error, standard_error(before)), error))


def _has_fallen(change: _Change, sigmas: float) -> bool:
    least = max(sigmas * change.error, _LEAST_FALL * abs(change.start))
    return change.fall > least


def _has_risen(change: _Change) -> bool:
    return -change.fall > max(_SURE * change.error, _LEAST_FALL * abs(change.start))
