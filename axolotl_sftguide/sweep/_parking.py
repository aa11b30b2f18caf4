"""Parks trials of a sweep, and resumes those with a chance once no other waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..config.rule_settings import EarlyTerminationSettings
from ..runs.checkpoints import last_whole_checkpoint, remove_parked, size_of
from ..runs.history import Decision, Run, RunHistory
from ..runs.sweep_decisions import record_decision, stop_for_good
from ..runs.traces import Trace
from ..signals.comparability import Candidate
from ..signals.forecast import EarlierRun
from ..stopping.baselines import forecast_of
from ..stopping.parking import (
    Outlooks,
    Prospect,
    losses_beside,
    outlooks_of,
    prospect_of,
)
from ._parked import ParkedTrials
from ._study import SweepStudy
from ._training import curve_of, newest_trace
from ._trial import Ended, Trial

RULE = "prediction"


@dataclass(frozen=True)
class _Parked:
    """A parked trial, and what the finished runs say of it."""

    trial: Trial
    trace: Trace
    checkpoint: Path | None
    prospect: Prospect

    def decision(self, action: str, reason: str) -> Decision:
        """A decision on it, at the step at which it was parked."""
        last = self.trace.observations[-1]
        return Decision(
            rule=RULE,
            action=action,
            reason=reason,
            step=last.step,
            samples_seen=last.samples_seen,
            figures=dict(self.prospect.figures),
        )


class Parking:
    """The parked trials of one study, as one worker handles them.

    Args:
        study: The study.
        history: The history of its runs.
        settings_of: The rules of a trial; `prediction` says when it is parked.
        on_drop: Called when a parked trial is stopped for good.
        on_note: Called with a trial and a line about it.
    """

    def __init__(
        self,
        study: SweepStudy,
        history: RunHistory,
        settings_of: Callable[[Trial], EarlyTerminationSettings],
        on_drop: Callable[[Ended], None],
        on_note: Callable[[Trial, str], None],
    ) -> None:
        self._study = study
        self._history = history
        self._parked = ParkedTrials(study)
        self._settings_of = settings_of
        self._on_drop = on_drop
        self._on_note = on_note
        self._finished: dict[str, EarlierRun] = {}

    def park(self, trial: Trial) -> None:
        """Park a trial; if the checkpoints are too large, drop the least promising."""
        remove_parked(trial.folder, but=last_whole_checkpoint(trial.folder))
        self._parked.add(trial)
        parking = self._settings_of(trial).prediction.parking
        assert parking is not None
        found = self._all()
        while (size := sum(_size(one) for one in found)) > parking.disk:
            least = min(found, key=lambda one: one.prospect.chance)
            found.remove(least)
            reason = (
                f"{least.prospect.reason}, which is the least, and the parked "
                f"checkpoints have {gib(size)}, more than prediction.parking.disk "
                f"({gib(parking.disk)})"
            )
            self._drop(least, reason, at_the_end=False)

    def next(self) -> Trial | None:
        """The most promising parked trial, now of this worker.

        Returns:
            None if none is to be resumed; if no other worker trains, the parked trials
            are stopped for good then.
        """
        found = sorted(self._all(), key=lambda one: -one.prospect.chance)
        for one in found:
            if one.prospect.resumes:
                taken = self._take(one, alone=len(found) == 1)
                if taken is not None:
                    return taken
        for one in found:
            if not one.prospect.resumes:
                self._drop(one, one.prospect.reason, at_the_end=True)
        return None

    def explain(self, trial: Trial) -> None:
        """Record why a trial is resumed, unless an interrupted call has done so."""
        decision = (trial.resumed or {}).get("decision")
        trace = newest_trace(trial.folder) if decision else None
        if decision and trace is not None:
            record_decision(self._history, trace, Decision(**decision))

    def too_large(self, trial: Trial) -> str | None:
        """Why the checkpoint of a trial cannot be kept at all; None if it can."""
        checkpoint = last_whole_checkpoint(trial.folder)
        parking = self._settings_of(trial).prediction.parking
        size = 0 if checkpoint is None else size_of(checkpoint)
        if parking is None or size <= parking.disk:
            return None
        return (
            f"its checkpoint has {gib(size)}, more than prediction.parking.disk "
            f"({gib(parking.disk)})"
        )

    def _take(self, one: _Parked, *, alone: bool) -> Trial | None:
        # No other run is finished before the last one, so it need not wait.
        alone = alone and not self._study.training()
        decision = one.decision("resume", one.prospect.reason)
        recorded = {"decision": vars(decision), "alone": alone}
        resumed = {"step": decision.step, **recorded}
        taken = self._parked.take(one.trial, resumed)
        if taken is not None:
            self._on_note(taken, f"resumed at step {decision.step}: {decision.reason}")
        return taken

    def _drop(self, one: _Parked, reason: str, *, at_the_end: bool) -> None:
        decision = one.decision("stop", f"parked before, and not resumed: {reason}")
        ended: list[Run] = []

        def record() -> str:
            run = stop_for_good(self._history, one.trace, decision)
            remove_parked(one.trial.folder)
            ended.append(run)
            return run.reason or decision.reason

        curve = curve_of(one.trace, self._study.objective, stopped=True)
        if self._parked.drop(one.trial, record, curve, at_the_end=at_the_end):
            self._on_drop(Ended(one.trial, ended[0], None, ended[0].reason, False))

    def _all(self) -> list[_Parked]:
        pairs = [(trial, newest_trace(trial.folder)) for trial in self._parked.all()]
        read = [(t, trace) for t, trace in pairs if trace and trace.observations]
        said = [self._outlooks(trial, trace) for trial, trace in read]
        return [
            self._look_at(trial, trace, said[i], said[:i] + said[i + 1 :])
            for i, (trial, trace) in enumerate(read)
        ]

    def _outlooks(self, trial: Trial, trace: Trace) -> Outlooks:
        run = trace.run
        candidate = Candidate(
            study=self._study.name,
            key=run["key"],
            fields=run["key_fields"],
            without=run["id"],
            metric=self._settings_of(trial).metric,
        )
        # All parked trials have the same peers, and a finished curve stays as it is.
        forecast = forecast_of(candidate, self._history, self._finished)
        return outlooks_of(trace.observations, forecast, run["max_steps"])

    def _look_at(
        self, trial: Trial, trace: Trace, own: Outlooks, others: list[Outlooks]
    ) -> _Parked:
        last = own[-1] if own else None
        beside = losses_beside(last, others) if last is not None else []
        prospect = prospect_of(last, beside, self._settings_of(trial).prediction)
        checkpoint = last_whole_checkpoint(trial.folder)
        if checkpoint is None:
            prospect = replace(prospect, resumes=False, reason="its checkpoint is gone")
        elif trace.end is None or trace.end["status"] != "parked":
            # A worker that was dropping it was killed.
            prospect = replace(prospect, resumes=False)
        return _Parked(trial, trace, checkpoint, prospect)


def gib(size: int) -> str:
    """A size in bytes, for people."""
    return f"{size / 2**30:.2f} GiB" if size >= 2**26 else f"{size / 2**20:.2f} MiB"


def _size(one: _Parked) -> int:
    return 0 if one.checkpoint is None else size_of(one.checkpoint)
