"""A pruner for any Optuna study that reads the run history."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optuna.pruners import BasePruner

from ..config.settings import early_termination_settings
from ..errors import SFTGuideError
from ..runs.following import AppendedRecords
from ..runs.history import Run, RunHistory
from ..runs.traces import observation_of
from ..signals import Observation
from ..signals.comparability import Candidate
from ..stopping.baselines import baselines
from ..stopping.judge import Judge, JudgeState, judge_of
from .storage import RUN

logger = logging.getLogger(__name__)


class SFTGuidePruner(BasePruner):  # type: ignore[misc]
    """Prunes a trial whose run a rule stops, or has stopped.

    Optuna's own pruners compare one number that a trial reports at fixed steps. This
    one applies the rules to all steps in the trace of the trial's run, and compares it
    with the finished runs of the same study and key; it ignores reported values. A
    trial names its run with `trial.set_user_attr("sftguide_run", ...)`. Optuna does
    not call pruners in studies with several objectives.

    Args:
        storage: URL or path of the run history; else `SFTGUIDE_STORAGE`, else the
            user's own.
        **rules: The keys of `early_termination`; `action` is `stop` by default.

    Raises:
        SettingsError: If a rule's key is unknown or its value invalid.
    """

    def __init__(self, storage: str | None = None, **rules: Any) -> None:
        self._settings = early_termination_settings(**{"action": "stop", **rules})
        self._storage = storage
        self._history: RunHistory | None = None
        self._judged: dict[str, _Judged] = {}
        self._reported = False

    def prune(self, study: Any, trial: Any) -> bool:
        """Whether the trial's run should end; False if the history cannot be read."""
        name = trial.user_attrs.get(RUN)
        if name is None:
            return False
        try:
            return self._stops(str(name))
        except SFTGuideError as error:
            if not self._reported:
                self._reported = True
                logger.warning(f"{error}. No trial is pruned meanwhile")
            return False

    def _stops(self, name: str) -> bool:
        if self._history is None:
            self._history = RunHistory(self._storage)
        run = self._history.get(name)
        if any(decision.action == "stop" for decision in run.decisions):
            return True
        if run.trace_path is None:
            return False
        judged = self._judged.get(run.id) or _Judged(AppendedRecords(run.trace_path))
        self._judged[run.id] = judged
        steps = judged.new_steps()
        if steps and judged.judge is None:
            judged.begin(self._judge_of(run, steps))
        stops = judged.stops(steps)
        if stops or run.status != "running":
            del self._judged[run.id]
        return stops

    def _judge_of(self, run: Run, steps: Sequence[Observation]) -> Judge:
        assert self._history is not None
        candidate = Candidate(
            study=run.study,
            key=run.key,
            fields=run.key_fields,
            noise_measured=any(o.grad_noise is not None for o in steps),
            without=run.id,
            metric=self._settings.metric,
        )
        compared = baselines(candidate, self._history, self._settings)
        return judge_of(self._settings, compared, max_steps=run.max_steps)


@dataclass
class _Judged:
    """A run while it trains: its steps are read once each, and not kept."""

    records: AppendedRecords
    judge: Judge | None = None
    state: JudgeState | None = None
    step: int = 0

    def begin(self, judge: Judge) -> None:
        self.judge, self.state = judge, judge.init()

    def new_steps(self) -> list[Observation]:
        """The steps that the trace has since the last call.

        Raises:
            TraceError: If one of them is incomplete.
        """
        found = [
            observation_of(self.records.path, record)
            for record in self.records.read()
            if record is not None and "event" not in record
        ]
        # A resumed run repeats steps, which have been judged.
        return [o for o in found if o.step > self.step]

    def stops(self, steps: Sequence[Observation]) -> bool:
        """Whether a rule stops the run at these steps."""
        if not steps or self.judge is None or self.state is None:
            return False
        self.state, findings = self.judge.step(self.state, steps)
        self.step = steps[-1].step
        return any(finding.action == "stop" for finding in findings)
