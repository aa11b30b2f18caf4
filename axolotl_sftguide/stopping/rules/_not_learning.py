"""A run that does not learn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from ...signals import Observation
from ...units import number
from ._base import Verdict

_BLOCK = 8
"""Steps whose mean loss is the initial loss of a run."""


@dataclass(frozen=True, slots=True)
class _State:
    zero_norm: int = 0
    no_tokens: int = 0
    first: tuple[float, ...] = ()
    recent: tuple[float, ...] = ()
    flat: int = 0
    learned: bool = False


@dataclass(frozen=True, slots=True)
class NotLearning:
    """Zero norm or no trained tokens for `steps` steps, or a loss that stays flat.

    The loss is flat if its mean over the last quarter of `grace` steps (at least 8)
    differs from its mean over the first 8 by at most `sigmas` standard errors of the
    difference or `margin` of the initial loss. A rising loss is not flat: the
    divergence rule handles it. Once the loss has fallen, the rule never applies again:
    a long plateau later is normal. The signs of a good run in arXiv 2412.13337, lower
    norm and higher loss, are both strongest at a learning rate of zero.
    """

    steps: int
    grace: int
    sigmas: float
    margin: float
    patience: int
    name: str = "not_learning"
    loss_counts: bool = True
    """Whether a flat loss is a sign; not where the loss is no measure of progress."""

    def init(self) -> _State:
        """The state before the first step."""
        return _State()

    def step(
        self, state: _State, observation: Observation
    ) -> tuple[_State, Verdict | None]:
        """Count steps without gradient or tokens; compare the loss with the start."""
        zero = observation.measured and observation.grad_norm == 0.0
        state = replace(
            state,
            zero_norm=state.zero_norm + 1 if zero else 0,
            no_tokens=state.no_tokens + 1 if observation.trained_tokens == 0 else 0,
        )
        if state.no_tokens >= self.steps:
            reason = f"no labelled tokens for {state.no_tokens} steps in a row"
            return state, self._verdict(observation, reason, state.no_tokens)
        if state.zero_norm >= self.steps:
            reason = f"gradient norm zero for {state.zero_norm} steps in a row"
            return state, self._verdict(observation, reason, state.zero_norm)
        if state.learned or not self.loss_counts:
            return state, None
        if not math.isfinite(observation.loss):
            return state, None
        return self._judge_loss(state, observation)

    def _judge_loss(
        self, state: _State, observation: Observation
    ) -> tuple[_State, Verdict | None]:
        if len(state.first) < _BLOCK:
            return replace(state, first=(*state.first, observation.loss)), None
        width = max(_BLOCK, self.grace // 4)
        state = replace(state, recent=(*state.recent, observation.loss)[-width:])
        if observation.step < self.grace or len(state.recent) < width:
            return state, None

        began, now = fmean(state.first), fmean(state.recent)
        # Eight losses can be close together by chance, so the larger spread counts.
        spread = max(stdev(state.first), stdev(state.recent))
        noise = spread * math.sqrt(1 / len(state.first) + 1 / len(state.recent))
        least = max(self.sigmas * noise, self.margin * abs(began))
        if began - now > least:
            return replace(state, learned=True, recent=()), None
        state = replace(state, flat=state.flat + 1 if abs(began - now) <= least else 0)
        if state.flat < self.patience:
            return state, None
        reason = (
            f"mean loss {number(now)} over the last {width} steps and {number(began)} "
            f"over the first {_BLOCK}; a difference of up to {number(least)} is noise"
        )
        figures = {"began": began, "now": now, "least": least}
        return state, self._verdict(observation, reason, observation.step, figures)

    def _verdict(
        self,
        observation: Observation,
        reason: str,
        bad_steps: int,
        figures: dict[str, float] | None = None,
    ) -> Verdict:
        return Verdict(
            rule=self.name,
            reason=reason,
            step=observation.step,
            samples_seen=observation.samples_seen,
            bad_since=observation.step - bad_steps + 1,
            figures=figures or {},
        )
