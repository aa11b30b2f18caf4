"""The runs of a sweep's trials in the run history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..runs.history import Run, RunHistory, Score
from ..runs.traces import Trace
from ._objective import Objective


def entered(history: RunHistory, trace: Trace) -> Run:
    """The run in the history, which ends as its trace says.

    It is imported where the history was unreachable meanwhile.
    """
    status = (trace.end or {}).get("status")
    for run in history.runs_by_ids([trace.run["id"]]):
        if run.study == trace.run["study"] and run.status == status:
            return run
    return history.import_trace(trace)


def record_value(
    history: RunHistory, run: Run, objective: Objective, value: float
) -> None:
    """Record the value of a trial as a score of its run, unless the run has done so."""
    if run.score(objective.metric) is None:
        history.score_run(run, Score(objective.metric, value, objective.goal))


def last_runs(
    history: RunHistory, study: str, folders: Sequence[str] | None = None
) -> dict[str, Run]:
    """The last run of a study in each output folder, or in some; without configs."""
    runs = history.runs(study=study, output_dirs=folders, with_config=False)
    return {str(Path(run.output_dir)): run for run in runs}
