"""Runs as rows of plain values, and as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ...errors import StorageError
from ._records import Run

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    "id",
    "name",
    "study",
    "status",
    "reason",
    "step",
    "max_steps",
    "steps_saved",
    "samples_seen",
    "loss",
    "grad_norm",
    "step_s",
    "samples_per_s",
    "started_at",
    "ended_at",
    "host",
    "device",
    "key",
    "comparable",
    "output_dir",
    "trace_path",
    "tags",
)


def rows_of(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A row for each run, with its scores as `score.METRIC`; times are UTC."""
    found = []
    for run in runs:
        row = {name: getattr(run, name) for name in _COLUMNS}
        row["status"] = run.shown_status
        row["started_at"] = _time(run.started_at)
        row["ended_at"] = _time(run.ended_at)
        row["tags"] = ", ".join(run.tags)
        row |= {f"score.{score.metric}": score.value for score in run.scores}
        found.append(row)
    return found


def frame_of(runs: Sequence[Run]) -> pd.DataFrame:
    """A DataFrame of runs, with their settings as `config.KEY`.

    Raises:
        StorageError: If pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise StorageError("to_dataframe needs pandas: pip install pandas") from None
    frame = pd.DataFrame(rows_of(runs)).set_index("id") if runs else pd.DataFrame()
    if runs:
        config = pd.json_normalize([dict(run.config) for run in runs])
        config.index = frame.index
        frame = frame.join(config.add_prefix("config."))
        for name in ("started_at", "ended_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
