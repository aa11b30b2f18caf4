"""The run history: an index over runs that can be rebuilt from their traces.

_history    RunHistory, the public interface
_records    runs, scores and decisions as values
_database   the storage URL, opening, transactions
_engine     engines for SQLite and PostgreSQL
_rows       rows, also where some of them cannot be read
_tables     the schema
_upgrade    upgrades the schema of an older version
_write      statements that write runs, scores and decisions
_read       queries for runs
_compared   what a run is compared with, as methods of RunHistory
_peers      queries for it
_frame      runs as rows of plain values, and as a DataFrame
_curves     loss and gradient norm over the samples seen
_import     writes a run from its trace
"""

from ._database import STORAGE_VARIABLE, default_storage, is_there, resolve_storage
from ._frame import rows_of
from ._history import RunHistory
from ._metric import chosen_metric, metric_of
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
from ._upgrade import Upgrade, upgrade_storage

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
    "Upgrade",
    "best_shared_metric",
    "chosen_metric",
    "default_storage",
    "is_alive",
    "is_there",
    "metric_of",
    "resolve_storage",
    "rows_of",
    "this_process",
    "upgrade_storage",
]
