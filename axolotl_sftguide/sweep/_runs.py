"""The runs of a sweep's trials in the run history."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ..errors import TraceError
from ..runs.history import Run, RunHistory, Score
from ..runs.traces import Trace, TraceWriter, read_trace
from ._objective import Objective
from ._training import newest_trace

_INTERRUPTED = "interrupted: its sweep was ended; the same sweep command resumes it"


def entered(history: RunHistory, trace: Trace) -> Run:
    """The run in the history, which ends as its trace says.

    It is imported where the history was unreachable meanwhile.
    """
    status = (trace.end or {}).get("status")
    for run in history.runs_by_ids([trace.run["id"]]):
        if run.study == trace.run["study"] and run.status == status:
            return run
    return history.import_trace(trace)


def end_interrupted(history: RunHistory, folder: Path) -> None:
    """Record that the sweep has ended the training in a folder.

    A training that is terminated cannot do so itself, and would be shown as dead.
    """
    trace = newest_trace(folder)
    if trace is None or trace.end is not None:
        return
    try:
        where = str(folder.resolve())
        known = last_runs(history, trace.run["study"], [where]).get(where)
        step_s = known.step_s if known and known.id == trace.run["id"] else None
        ended = {"status": "failed", "reason": _INTERRUPTED, "at": time.time()}
        with closing(TraceWriter(trace.path)) as writer:
            writer.event("end", **ended, step_s=step_s)
        entered(history, read_trace(trace.path))
    except (OSError, TraceError):
        return  # the sweep ends anyway, and starts the trial again


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
