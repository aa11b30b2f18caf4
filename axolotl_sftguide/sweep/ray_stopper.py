"""The stopping rules for a sweep through Ray Tune, from what its trials report."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Literal

from ray.tune import Stopper

from ..config.settings import early_termination_settings
from ..errors import Problem, SettingsError
from ..signals import Observation, Point, point_steps
from ..signals.forecast import EarlierRun, Forecast, earlier_run
from ..stopping.baselines import MOST_FORECASTING, Baselines
from ..stopping.judge import Judge, JudgeState, judge_of
from ..units import count

logger = logging.getLogger(__name__)

_BLIND = 20
"""Number of results without a loss after which a warning is logged."""


class SFTGuideStopper(Stopper):  # type: ignore[misc]
    """Stops unpromising trials of Ray Tune by the stopping rules.

    It runs in the process of `Tuner.fit` and needs no run history. The rules on a
    single run are applied to the reported losses of each trial. With `metric` and
    `max_steps`, `prediction` compares a trial with the finished trials of the
    experiment. It can be combined with a scheduler, such as ASHA. A trial whose trainer
    has an `EarlyTerminationCallback` needs no stopper: the callback stops it and saves
    a checkpoint.

    Args:
        max_steps: Optimizer steps of a whole trial.
        metric: The reported score of a trial that has finished, as in `TuneConfig`.
        mode: Whether a higher (`max`) or a lower (`min`) score is better.
        step: The key of a result with the optimizer step.
        loss: The key with the training loss.
        grad_norm: The key with the gradient norm before clipping, where it is reported.
        learning_rate: The key with the learning rate, where it is reported.
        **rules: The keys of `early_termination`; `action` is `stop` by default.

    Raises:
        SettingsError: If a rule's key is unknown or its value invalid, or, while trials
            run, if a result has a loss but no step.
    """

    def __init__(
        self,
        *,
        max_steps: int | None = None,
        metric: str | None = None,
        mode: Literal["min", "max"] = "min",
        step: str = "step",
        loss: str = "loss",
        grad_norm: str = "grad_norm",
        learning_rate: str = "learning_rate",
        **rules: Any,
    ) -> None:
        if mode not in ("min", "max"):
            raise _wrong("mode", f"{mode!r} is not a mode", "write min or max")
        self._settings = early_termination_settings(**{"action": "stop", **rules})
        self._max_steps = max_steps
        self._metric = metric
        self._sign = 1.0 if mode == "max" else -1.0
        self._step, self._loss = step, loss
        self._grad_norm, self._learning_rate = grad_norm, learning_rate
        self._trials: dict[str, _Trial] = {}
        self._finished: dict[str, EarlierRun] = {}
        self.reasons: dict[str, str] = {}
        """Why each trial was stopped, by its id."""

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Whether a rule stops the trial after this result."""
        if trial_id in self.reasons:
            return True
        trial = self._trials.get(trial_id)
        if trial is None:
            trial = self._trials[trial_id] = _Trial(self._judge())
        if self._loss not in result:
            trial.note_missing(trial_id, self._loss)
        elif self._step not in result:
            raise _wrong(
                "step",
                f"a result of trial {trial_id} has a loss and no {self._step!r}",
                "report the optimizer step, or name the key that has it: step=...",
            )
        else:
            reason = trial.stops(self._observation(result))
            if reason is not None:
                self.reasons[trial_id] = reason
                del self._trials[trial_id]
                logger.warning(f"trial {trial_id} stopped by {reason}")
                return True
        self._note_score(trial_id, trial, result)
        return False

    def stop_all(self) -> bool:
        """False: the other trials go on."""
        return False

    def _judge(self) -> Judge:
        earlier = tuple(self._finished.values())[-MOST_FORECASTING:]
        forecast = None
        if earlier and self._metric is not None:
            forecast = Forecast(earlier, self._metric, self._sign)
        compared = Baselines(forecast=forecast)
        return judge_of(self._settings, compared, max_steps=self._max_steps)

    def _observation(self, result: Mapping[str, Any]) -> Observation:
        norm = result.get(self._grad_norm)
        step = int(result[self._step])
        return Observation(
            step=step,
            samples_seen=step,
            loss=float(result[self._loss]),
            grad_norm=math.nan if norm is None else float(norm),
            learning_rate=float(result.get(self._learning_rate, math.nan)),
            measured=norm is not None,
            samples_counted=False,
        )

    def _note_score(
        self, trial_id: str, trial: _Trial, result: Mapping[str, Any]
    ) -> None:
        """Keep a finished trial, to which later ones are compared."""
        if self._metric is None or not self._max_steps:
            return
        value = result.get(self._metric)
        if value is not None and math.isfinite(value):
            trial.score = self._sign * float(value)
        if trial.step >= self._max_steps and trial.score is not None:
            self._finished[trial_id] = trial.finished(trial_id, self._max_steps)


@dataclass
class _Trial:
    """What one trial has reported."""

    judge: Judge
    state: JudgeState = field(init=False)
    step: int = 0
    score: float | None = None
    curve: list[Point] = field(default_factory=list)
    """What it has reported; empty once it has finished."""
    whole: EarlierRun | None = None
    blind: int = 0

    def __post_init__(self) -> None:
        self.state = self.judge.init()

    def note_missing(self, trial_id: str, loss: str) -> None:
        self.blind += not self.step
        if self.blind == _BLIND:
            logger.warning(
                f"{count(_BLIND)} results of trial {trial_id} have no {loss!r}, so no "
                "rule judges it. Name the key: SFTGuideStopper(loss=...)"
            )

    def stops(self, observation: Observation) -> str | None:
        """The rule that stops the trial, and why; a repeated step is not new."""
        if observation.step <= self.step:
            return None
        self.step = observation.step
        if math.isfinite(observation.loss):
            self.curve.append(Point(observation.step, observation.loss, math.nan))
        self.state, findings = self.judge.step(self.state, [observation])
        for finding in findings:
            verdict = finding.verdict
            if finding.action == "stop":
                return f"{verdict.rule} at step {verdict.step}: {verdict.reason}"
        return None

    def finished(self, trial_id: str, max_steps: int) -> EarlierRun:
        """The whole trial, as one that later ones are compared with."""
        assert self.score is not None
        if self.whole is None:
            begin = [point.loss for point in self.curve[: point_steps(max_steps)]]
            first = fmean(begin) if begin else math.nan
            run = earlier_run(trial_id, self.score, self.curve)
            self.whole = replace(run, first=first)
            self.curve.clear()
        # A trial may be scored again after its last step.
        self.whole = replace(self.whole, score=self.score)
        return self.whole


def _wrong(argument: str, message: str, remedy: str) -> SettingsError:
    return SettingsError([Problem(f"SFTGuideStopper.{argument}", message, remedy)])
