"""Recorded runs replayed under rules that park, as a sweep does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..config.rule_settings import EarlyTerminationSettings
from ..signals.comparability import Candidate
from .baselines import RecordedRun, RecordedRuns, baselines
from .judge import judge_of
from .parking import (
    Outlooks,
    Prospect,
    Stage,
    losses_beside,
    outlooks_of,
    prospect_of,
)

_APPLIED_EVERY = 16
"""A live run applies its rules at least every so many steps, and stops no later."""


@dataclass
class _Study:
    """The runs of one order of arrival so far."""

    kept: list[RecordedRun] = field(default_factory=list)
    stopped: dict[str, int] = field(default_factory=dict)
    parked: dict[str, RecordedRun] = field(default_factory=dict)
    """Those in `stopped` that may be resumed."""


@dataclass(frozen=True)
class ParkingPolicy:
    """The rules of this package, in a sweep that parks and resumes."""

    name: str
    settings: EarlyTerminationSettings

    def replay(self, runs: Sequence[RecordedRun]) -> dict[str, int]:
        """The step at which each run was left, of those that were not finished."""
        study = _Study()
        for run in runs:
            self._train(study, run, "first")
        while (best := self._most_promising(study)) is not None:
            del study.parked[best.id]
            # The last one need not wait for others.
            self._train(study, best, "resumed" if study.parked else None)
        return study.stopped

    def _train(self, study: _Study, run: RecordedRun, stage: Stage | None) -> None:
        done = study.stopped.pop(run.id, 0)
        candidate = Candidate(study="", key="", without=run.id)
        compared = baselines(candidate, RecordedRuns(study.kept), self.settings)
        judge = judge_of(self.settings, compared, max_steps=run.steps, parking=stage)
        past = [o for o in run.observations if o.step <= done]
        state, _ = judge.step(judge.init(), past)
        state = state.resumed()
        for observation in run.observations[len(past) :]:
            state, findings = judge.step(state, [observation])
            actions = {finding.action for finding in findings} - {"warn"}
            step = math.ceil(observation.step / _APPLIED_EVERY) * _APPLIED_EVERY
            if actions and step < run.steps:
                study.stopped[run.id] = step
                if "stop" not in actions:
                    study.parked[run.id] = run
                return
        study.kept.append(run)

    def _most_promising(self, study: _Study) -> RecordedRun | None:
        said = {i: self._outlooks(study, run) for i, run in study.parked.items()}
        found = {i: self._prospect(i, said) for i in said}
        going = [i for i, prospect in found.items() if prospect.resumes]
        best = max(going, key=lambda i: found[i].chance, default=None)
        return None if best is None else study.parked[best]

    def _outlooks(self, study: _Study, run: RecordedRun) -> Outlooks:
        candidate = Candidate(study="", key="", without=run.id)
        compared = baselines(candidate, RecordedRuns(study.kept), self.settings)
        until = study.stopped[run.id]
        seen = (o for o in run.observations if o.step <= until)
        return outlooks_of(seen, compared.forecast, run.steps)

    def _prospect(self, run_id: str, said: dict[str, Outlooks]) -> Prospect:
        own = said[run_id]
        last = own[-1] if own else None
        others = [outlooks for other, outlooks in said.items() if other != run_id]
        beside = losses_beside(last, others) if last is not None else []
        return prospect_of(last, beside, self.settings.prediction)
