"""A metric of the host's evaluations that no longer improves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...units import number
from ._base import Verdict


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The watched metric at one evaluation."""

    step: int
    """The optimizer step after which the host evaluated; 0 before the first."""
    value: float
    samples_seen: int = 0
    """Training samples seen up to that step."""


@dataclass(frozen=True, slots=True)
class EvaluationState:
    """What is known of a run after some evaluations."""

    best: Evaluation | None = None
    """The best evaluation so far; None if none was finite."""
    level: Evaluation | None = None
    """The last evaluation that was an improvement, which the next has to beat."""
    streak: int = 0
    """Evaluations since then."""
    last: Evaluation | None = None
    """The last evaluation."""


@dataclass(frozen=True, slots=True)
class EvaluationPatience:
    """No improvement in `patience` evaluations in a row.

    An improvement is a change of more than `min_delta` since the last improvement, so
    that a metric that improves slowly and steadily is not taken for one that stands
    still. A metric that is NaN or infinite is no improvement. Like the other rules it
    is a frozen value, but it is applied to evaluations, of which a run has few, and not
    to optimizer steps.
    """

    metric: str
    patience: int
    min_delta: float = 0.0
    goal: str = "min"
    name: str = "evaluation"

    def init(self) -> EvaluationState:
        """The state before the first evaluation."""
        return EvaluationState()

    def step(
        self, state: EvaluationState, evaluation: Evaluation
    ) -> tuple[EvaluationState, Verdict | None]:
        """Take in one evaluation; a second one at the same step changes nothing."""
        if state.last is not None and evaluation.step <= state.last.step:
            return state, self.verdict(state)
        best, level, streak = state.best, state.level, state.streak + 1
        if math.isfinite(evaluation.value):
            if best is None or self._gain(evaluation, best) > 0:
                best = evaluation
            if level is None or self._gain(evaluation, level) > self.min_delta:
                level, streak = evaluation, 0
        state = EvaluationState(best, level, streak, evaluation)
        return state, self.verdict(state)

    def verdict(self, state: EvaluationState) -> Verdict | None:
        """The verdict that holds in a state."""
        last, best = state.last, state.best
        if last is None or state.streak < self.patience:
            return None
        figures = {"evaluations": float(state.streak), "last": last.value}
        if best is not None:
            figures |= {"best": best.value, "best_step": float(best.step)}
        return Verdict(
            rule=self.name,
            reason=self._reason(state, last),
            step=last.step,
            samples_seen=last.samples_seen,
            bad_since=1 if best is None else best.step + 1,
            figures=figures,
            signals=(self.metric,),
        )

    def _gain(self, evaluation: Evaluation, before: Evaluation) -> float:
        gain = before.value - evaluation.value
        return gain if self.goal == "min" else -gain

    def _reason(self, state: EvaluationState, last: Evaluation) -> str:
        evaluations = f"evaluation{'s' * (state.streak > 1)}"
        level, best = state.level, state.best
        if level is None or best is None:
            return (
                f"{self.metric} was not finite in {state.streak} {evaluations} in a row"
            )
        falls = self.goal == "min"
        direction = "fallen below" if falls else "risen above"
        margin = f" by more than {number(self.min_delta)}" if self.min_delta else ""
        text = (
            f"{self.metric} has not {direction} {number(level.value)} of step "
            f"{level.step}{margin} in {state.streak} {evaluations}; the last is "
            f"{number(last.value)}"
        )
        if best.step not in (level.step, last.step):
            text += f", the best {number(best.value)} of step {best.step}"
        return text
