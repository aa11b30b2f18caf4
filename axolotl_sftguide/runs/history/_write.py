"""Statements that write runs, scores and decisions, inside an open transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from ..redaction import recordable
from . import _tables as t
from ._records import Decision, Score

_RUN_COLUMNS = frozenset(column.name for column in t.runs.columns)


def has_run(connection: sa.Connection, run_id: str) -> bool:
    """Whether the history contains a run."""
    query = sa.select(t.runs.c.id).where(t.runs.c.id == run_id)
    return connection.execute(query).first() is not None


def begin_run(connection: sa.Connection, run: Mapping[str, Any]) -> None:
    """Add a run, or set a resumed one to running; it keeps its original start time."""
    row = recordable({k: v for k, v in run.items() if k in _RUN_COLUMNS})
    running = {"status": "running", "reason": None, "ended_at": None}
    if has_run(connection, row["id"]):
        row = {"heartbeat_at": time.time(), **row, **running}
        if _is_number(connection, t.runs.c.started_at, row["id"]):
            del row["started_at"]
        update_run(connection, row.pop("id"), **row)
    else:
        _forget_unnamed(connection)
        new = {"heartbeat_at": row["started_at"], "step": 0, "samples_seen": 0}
        connection.execute(sa.insert(t.runs).values({**new, **running, **row}))


def _is_number(connection: sa.Connection, column: sa.Column[Any], run_id: str) -> bool:
    query = sa.select(column).where(t.runs.c.id == run_id)
    return isinstance(connection.execute(query).scalar(), float)


def _forget_unnamed(connection: sa.Connection) -> None:
    """Remove rows of a damaged SQLite file whose run has no readable id."""
    if connection.dialect.name == "sqlite":
        columns = (t.runs.c.id, t.scores.c.run_id, t.decisions.c.run_id)
        for column in columns:
            unnamed = sa.func.typeof(column) != "text"
            connection.execute(sa.delete(column.table).where(unnamed))


def update_run(connection: sa.Connection, run_id: str, **values: Any) -> None:
    """Set some columns of a run."""
    values = recordable(values)
    connection.execute(sa.update(t.runs).where(t.runs.c.id == run_id).values(values))


def add_score(
    connection: sa.Connection, run_id: str, score: Score, at: float | None = None
) -> None:
    """Add a score, recorded now or at a time; one on the same metric is replaced."""
    row = {"run_id": run_id, **recordable(vars(score))}
    row["recorded_at"] = at or time.time()
    same = (t.scores.c.run_id == run_id, t.scores.c.metric == row["metric"])
    connection.execute(sa.delete(t.scores).where(*same))
    connection.execute(sa.insert(t.scores).values(row))


def add_decision(connection: sa.Connection, run_id: str, decision: Decision) -> None:
    """Add a decision; one of the same rule, action and step is replaced."""
    row = {"run_id": run_id, **recordable(vars(decision))}
    same = [t.decisions.c[n] == row[n] for n in ("run_id", "rule", "action", "step")]
    connection.execute(sa.delete(t.decisions).where(*same))
    connection.execute(sa.insert(t.decisions).values(row))


def delete_traced(connection: sa.Connection, run_id: str) -> None:
    """Remove what a run's trace holds; scores that were attached to it stay."""
    for table in (t.decisions, t.points):
        connection.execute(sa.delete(table).where(table.c.run_id == run_id))
    own = (t.scores.c.run_id == run_id, t.scores.c.origin == "run")
    connection.execute(sa.delete(t.scores).where(*own))


def delete_run(connection: sa.Connection, run_id: str) -> None:
    """Remove a run with all that belongs to it."""
    for table in (t.decisions, t.points, t.scores, t.tags):
        connection.execute(sa.delete(table).where(table.c.run_id == run_id))
    connection.execute(sa.delete(t.runs).where(t.runs.c.id == run_id))


def set_tags(connection: sa.Connection, run_id: str, tags: Iterable[str]) -> None:
    """Give a run these tags in place of those that it has."""
    connection.execute(sa.delete(t.tags).where(t.tags.c.run_id == run_id))
    kept = sorted(set(recordable(list(tags))))
    rows = [{"run_id": run_id, "tag": tag} for tag in kept]
    if rows:
        connection.execute(sa.insert(t.tags), rows)


def attached_at(connection: sa.Connection, run_id: str) -> dict[str, float]:
    """When each score of a run that it did not record itself was attached, by metric.

    Scores from before version 5, whose origin is unknown, count as attached.
    """
    query = sa.select(t.scores.c.metric, t.scores.c.recorded_at).where(
        t.scores.c.run_id == run_id, t.scores.c.origin.is_distinct_from("run")
    )
    return {
        metric: at
        for metric, at in connection.execute(query)
        if isinstance(metric, str) and isinstance(at, float)
    }
