"""Queries for runs: all, the newest, those of some ids, or one by its name.

A configuration can have twenty kilobytes, and a history ten thousand runs, so only the
requested runs and columns are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa

from . import _tables as t
from ._records import Decision, Run, Score
from ._rows import Row, Unread, is_damage, read_rows

_Found = TypeVar("_Found")

MOST_IN_A_QUERY = 500
"""Ids in one query: SQLite and PostgreSQL limit its parameters."""


@dataclass(frozen=True)
class Selection:
    """Which runs are read, and how much of them; the default is all."""

    study: str | None = None
    key: str | None = None
    status: str | None = None
    """The recorded status; a dead run is recorded as running."""
    since: float | None = None
    """The earliest start, in seconds since 1970."""
    output_dirs: Sequence[str] | None = None
    newest: int | None = None
    """How many of the runs that started last."""
    with_config: bool = True
    """Whether `Run.config` is read; otherwise it is empty."""

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The conditions on the runs."""
        found: list[sa.ColumnElement[bool]] = []
        if self.study is not None:
            found.append(t.runs.c.study == self.study)
        if self.key is not None:
            found.append(t.runs.c.key == self.key)
        if self.status is not None:
            found.append(t.runs.c.status == self.status)
        if self.since is not None:
            found.append(t.runs.c.started_at >= self.since)
        if self.output_dirs is not None:
            found.append(t.runs.c.output_dir.in_(self.output_dirs))
        return found

    @property
    def is_all(self) -> bool:
        """Whether every run is selected."""
        return self.newest is None and not self.conditions


Readable: TypeAlias = tuple[list[Run], list[Unread]]
"""Runs, and the rows that cannot be read, which are left out."""


def read_runs(connection: sa.Connection, selection: Selection) -> Readable:
    """The selected runs with scores, decisions and tags, oldest first."""
    newest = selection.newest
    if newest is not None:

        def found() -> Readable:
            ids = _newest_ids(connection, selection)
            return read_by_ids(connection, ids, with_config=selection.with_config)

        def searched() -> Readable:
            runs, unread = read_runs(connection, replace(selection, newest=None))
            return runs[-newest:], unread

        return _or_if_damaged(found, searched)
    chosen = sa.select(t.runs.c.id).where(*selection.conditions)
    own = [] if selection.is_all else [chosen]
    return _runs_where(
        connection, selection.conditions, own, with_config=selection.with_config
    )


def _or_if_damaged(
    found: Callable[[], _Found], searched: Callable[[], _Found]
) -> _Found:
    """What a query finds; in a damaged file, what a search among all runs finds."""
    try:
        return found()
    except sa.exc.DatabaseError as error:
        if not is_damage(error.orig):
            raise
    return searched()


def _newest_ids(connection: sa.Connection, selection: Selection) -> Sequence[str]:
    order = (t.runs.c.started_at.desc(), t.runs.c.id.desc())
    query = sa.select(t.runs.c.id).where(*selection.conditions).order_by(*order)
    return connection.execute(query.limit(selection.newest)).scalars().all()


def read_by_ids(
    connection: sa.Connection, ids: Sequence[str], *, with_config: bool = True
) -> Readable:
    """The runs with these ids, oldest first."""
    found: list[Run] = []
    unread: list[Unread] = []
    for some in parts(ids):
        where = [t.runs.c.id.in_(some)]
        runs, broken = _runs_where(connection, where, [some], with_config=with_config)
        found += runs
        unread += broken
    return sorted(found, key=lambda run: (run.started_at, run.id)), unread


def parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """The ids in parts that fit in one query each."""
    for begin in range(0, len(ids), MOST_IN_A_QUERY):
        yield ids[begin : begin + MOST_IN_A_QUERY]


def ids_of(connection: sa.Connection, name: str, study: str | None) -> Sequence[str]:
    """The run with this id, else those whose id starts with it or with this name."""
    where = Selection(study=study).conditions
    query = sa.select(t.runs.c.id).where(*where)
    # Not LIKE, which ignores case in SQLite.
    start = sa.func.substr(t.runs.c.id, 1, len(name)) == name
    alike = query.where(start | (t.runs.c.name == name))
    ordered = alike.order_by(t.runs.c.started_at, t.runs.c.id)

    def found() -> Sequence[str]:
        if name == "latest":
            return _newest_ids(connection, Selection(study=study, newest=1))
        exact = connection.execute(query.where(t.runs.c.id == name)).scalars().all()
        return exact or connection.execute(ordered).scalars().all()

    def searched() -> Sequence[str]:
        runs, _ = read_runs(connection, Selection(study=study, with_config=False))
        if name == "latest":
            return [run.id for run in runs[-1:]]
        exact = [run.id for run in runs if run.id == name]
        return exact or [r.id for r in runs if r.id.startswith(name) or r.name == name]

    return _or_if_damaged(found, searched)


def count_runs(connection: sa.Connection, study: str | None) -> int:
    """The number of runs of a study, or of all."""
    selection = Selection(study=study, with_config=False)
    query = sa.select(sa.func.count(t.runs.c.id)).where(*selection.conditions)
    return _or_if_damaged(
        lambda: int(connection.execute(query).scalar_one()),
        lambda: len(read_runs(connection, selection)[0]),
    )


def names_of(
    connection: sa.Connection, study: str | None = None
) -> list[tuple[str, str]]:
    """Id and name of each run of a study, or of all, the newest first."""
    where = Selection(study=study).conditions
    query = sa.select(t.runs.c.id, t.runs.c.name).where(*where)
    query = query.order_by(t.runs.c.started_at.desc())

    def found() -> list[tuple[str, str]]:
        return [(run_id, name) for run_id, name in connection.execute(query)]

    def searched() -> list[tuple[str, str]]:
        runs, _ = read_runs(connection, Selection(study=study, with_config=False))
        return [(run.id, run.name) for run in reversed(runs)]

    return _or_if_damaged(found, searched)


def words_for(connection: sa.Connection, study: str | None) -> list[str]:
    """What `ids_of` finds a run by, without starts of ids."""
    pairs = names_of(connection, study)
    words = [w for pair in pairs for w in reversed(pair) if isinstance(w, str)]
    return ["latest", *dict.fromkeys(words)] if words else []


def distinct(connection: sa.Connection, column: sa.Column[Any]) -> list[str]:
    """The values of a column of text, in order."""

    def found() -> list[str]:
        values = connection.execute(sa.select(column).distinct()).scalars()
        return [value for value in values if isinstance(value, str)]

    def searched() -> list[str]:
        rows = read_rows(connection, column.table, [column], [], (), [column])
        return list({str(row[column.name]) for row in rows})

    return sorted(_or_if_damaged(found, searched))


def _runs_where(
    connection: sa.Connection,
    conditions: Sequence[sa.ColumnElement[bool]],
    own: Sequence[Any],
    *,
    with_config: bool,
) -> Readable:
    """The runs under some conditions; `own` has their ids, or the query for them."""
    unread: list[Unread] = []
    columns = [c for c in t.runs.columns if with_config or c is not t.runs.c.config]
    order = (t.runs.c.started_at, t.runs.c.id)
    rows = read_rows(connection, t.runs, order, unread, conditions, columns)

    def of(table: sa.Table, order: sa.Column[Any]) -> list[Row]:
        belonging = [table.c.run_id.in_(ids) for ids in own]
        return read_rows(connection, table, [order], unread, belonging)

    scores = by_run(Score, of(t.scores, t.scores.c.recorded_at))
    decisions = by_run(Decision, of(t.decisions, t.decisions.c.id))
    tags: dict[str, list[str]] = defaultdict(list)
    for tag in of(t.tags, t.tags.c.tag):
        tags[tag["run_id"]].append(tag["tag"])
    runs = [
        Run(
            **{"config": {}, **row},
            scores=tuple(scores.get(row["id"], ())),
            decisions=tuple(decisions.get(row["id"], ())),
            tags=tuple(tags.get(row["id"], ())),
        )
        for row in rows
    ]
    return runs, unread


def by_run(kind: type[Any], rows: Iterable[Any]) -> dict[str, list[Any]]:
    """Scores or decisions by the id of their run, in order."""
    names = tuple(kind.__dataclass_fields__)
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row["run_id"]].append(kind(**{name: row[name] for name in names}))
    return found
