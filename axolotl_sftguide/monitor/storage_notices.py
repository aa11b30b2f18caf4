"""The messages about traces, markers and the run history that cannot be written."""

from __future__ import annotations

from pathlib import Path

from ..runs.marker import MARKER


def resumed_by_another(run_id: str) -> str:
    """The run to continue is being trained by another program."""
    return (
        f"run {run_id} is being trained by another program, so this training is "
        "recorded as a run of its own"
    )


def trace_lost(path: Path, error: OSError, *, kept: bool) -> str:
    """The trace cannot be written; its lines may be kept until it can."""
    then = "are written once that is possible" if kept else "are no longer recorded"
    return (
        f"trace {path}: {error.strerror or error}; training continues, and its steps "
        f"{then}"
    )


def trace_cut(path: Path) -> str:
    """The run ended before its last steps could be written into its trace."""
    return f"trace {path}: the last steps could not be written and are missing in it"


def marker_not_written(folder: str, error: OSError) -> str:
    """The file that marks a stopped run cannot be written or removed."""
    return (
        f"{folder}: {MARKER} cannot be written or removed "
        f"({error.strerror or error}); the trace and the run history say how the run "
        "ended"
    )


def note_not_written(checkpoint: str, error: OSError) -> str:
    """A checkpoint cannot say which run it belongs to."""
    return (
        f"{checkpoint}: the run's id cannot be written into it "
        f"({error.strerror or error}); training continues"
    )


def history_lost(error: Exception, *, traced: bool, compared: bool = True) -> str:
    """The run history cannot be written, or not even be read at the start."""
    kept = "the trace records all steps"
    if not traced:
        kept = "the run is entered once the history can be written"
    alone = "" if compared else ". The run is not compared with earlier runs"
    return f"{error}; training continues, and {kept}{alone}"


def import_later(folder: Path | None) -> str:
    """The run ended while the history could not be reached."""
    if folder is None:
        return "the run history is missing part of this run, which has no trace"
    return (
        "the run history is missing part of this run. Once it is reachable, run: "
        f"sftguide runs import {folder}"
    )
