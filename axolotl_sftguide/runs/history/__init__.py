"""The run history: an index over runs, rebuilt from their traces where it is lost.

_records    what is known of a run
_tables     how it is kept
_curves     points along the samples, of one run or a cohort
_database   where, and how it is opened, read and written
_history    RunHistory: entering and asking
"""

from ._database import STORAGE_VARIABLE, default_storage, is_there, resolve_storage
from ._history import RunHistory
from ._records import (
    SILENT_AFTER_S,
    Decision,
    Goal,
    Run,
    Score,
    Status,
    best_shared_metric,
    is_alive,
    this_process,
)
from ._tables import SCHEMA_VERSION

__all__ = [
    "SCHEMA_VERSION",
    "SILENT_AFTER_S",
    "STORAGE_VARIABLE",
    "Decision",
    "Goal",
    "Run",
    "RunHistory",
    "Score",
    "Status",
    "best_shared_metric",
    "default_storage",
    "is_alive",
    "is_there",
    "resolve_storage",
    "this_process",
]
