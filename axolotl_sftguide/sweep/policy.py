"""Optuna's pruners as policies of a backtest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..stopping.baselines import RecordedRun


@dataclass(frozen=True)
class OptunaPolicy:
    """An Optuna pruner that gets one signal at every point of the curve.

    Args:
        name: The name in tables.
        make: Creates the pruner.
        signal: `loss` or `grad_norm`; a lower value is better, as usual.
    """

    name: str
    make: Callable[[], Any]
    signal: str

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        """Start a new study in memory."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        # Hyperband chooses brackets by the name, which is random by default.
        study = optuna.create_study(study_name=self.name, pruner=self.make())

        def stopped_at(run: RecordedRun, kept: Sequence[RecordedRun]) -> int | None:
            trial = study.ask()
            value = math.inf
            for index, point in enumerate(run.curve.points, start=1):
                value = getattr(point, self.signal)
                trial.report(value, index)
                step = index * run.curve.every
                if trial.should_prune() and step < run.steps:
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    return step
            study.tell(trial, value)
            return None

        return stopped_at
