"""Reads the rows of a table, also if some of them are damaged.

A damaged SQLite file, or a value that another program wrote, makes single rows
unreadable. The others are read, row by row if need be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from . import _tables as t

Row: TypeAlias = sa.RowMapping | dict[str, Any]

_MOST_ROWS = 1_000_000
_DAMAGE = ("malformed", "decode to UTF-8", "not a database", "no such ", "disk I/O")


@dataclass(frozen=True)
class Unread:
    """A row that cannot be read."""

    table: str
    reason: str
    run_id: str | None = None
    """The run that it belongs to, if that is known."""
    output_dir: str | None = None
    """The output folder of that run, if that is known."""


def is_damage(error: BaseException | None) -> bool:
    """Whether an error says that an SQLite file is damaged, and not locked, say."""
    return isinstance(error, sqlite3.DatabaseError) and any(
        part in str(error) for part in _DAMAGE
    )


def read_rows(
    connection: sa.Connection,
    table: sa.Table,
    order: Sequence[sa.Column[Any]],
    unread: list[Unread],
    conditions: Sequence[sa.ColumnElement[bool]] = (),
    columns: Sequence[sa.Column[Any]] | None = None,
) -> list[Row]:
    """The rows of a table that can be read, in order.

    Args:
        connection: An open connection.
        table: The table.
        order: The columns to order by, which are among those that are read.
        unread: Gets an entry for each row that cannot be read.
        conditions: Which rows; of tables other than that of the runs, a damaged file
            may give more.
        columns: The columns to read; all by default.
    """
    query = sa.select(*(columns or table.columns)).where(*conditions)
    try:
        rows: list[Row] = list(connection.execute(query.order_by(*order)).mappings())
    except sa.exc.DatabaseError as error:
        if not is_damage(error.orig):
            raise
        numbers = _row_ids(connection, table.name)
        if not numbers and table is t.runs:
            raise
        if not numbers:
            unread.append(Unread(table.name, str(error.orig)))
        if table is not t.runs:
            query = sa.select(table)  # the runs that the conditions name may be damaged
        rows = _one_by_one(connection, table, query, sorted(numbers), unread)
        whole = [row for row in rows if _is_whole(table, row, unread)]
        return sorted(whole, key=lambda row: tuple(row[c.name] for c in order))
    return [row for row in rows if _is_whole(table, row, unread)]


def _is_whole(table: sa.Table, row: Row, unread: list[Unread]) -> bool:
    fault = fault_of(table, row)
    if fault is not None:
        run_id = row["id" if table is t.runs else "run_id"]
        folder = row.get("output_dir")
        unread.append(
            Unread(
                table.name,
                f"{fault} has no readable value",
                run_id if isinstance(run_id, str) else None,
                folder if isinstance(folder, str) else None,
            )
        )
    return fault is None


def fault_of(table: sa.Table, row: Row) -> str | None:
    """The first column of a row whose value is not of the column's type."""
    for name, kinds, nullable in _EXPECTED[table.name]:
        if name not in row:
            continue
        value = row[name]
        if value is None:
            if not nullable:
                return name
        elif type(value) not in kinds:
            return name
    return None


def _kinds_of(column: sa.Column[Any]) -> tuple[type[Any], ...]:
    if isinstance(column.type, t.Json):
        return (list,) if column.name == "signals" else (dict,)
    if isinstance(column.type, sa.Boolean):
        return (bool,)
    if isinstance(column.type, sa.Integer):
        return (int,)
    if isinstance(column.type, (sa.Float, t.Figure)):
        return (float, int)
    return (str,)


_EXPECTED = {
    table.name: [(c.name, _kinds_of(c), bool(c.nullable)) for c in table.columns]
    for table in t.metadata.tables.values()
}


def _one_by_one(
    connection: sa.Connection,
    table: sa.Table,
    query: sa.Select[Any],
    numbers: Sequence[int],
    unread: list[Unread],
) -> list[Row]:
    """The rows with these numbers that can be read, in a damaged SQLite file."""
    found: list[Row] = []
    one = query.where(sa.text("rowid = :row"))
    for row_id in numbers:
        try:
            found += map(dict, connection.execute(one, {"row": row_id}).mappings())
        except sa.exc.DatabaseError as error:
            run_id = _run_of(connection, table, row_id)
            unread.append(Unread(table.name, str(error.orig), run_id))
    return found


def _row_ids(connection: sa.Connection, table: str) -> set[int]:
    """The numbers of all rows that the table or one of its indexes still names."""
    found: set[int] = set()
    queries = [
        f"SELECT rowid FROM {table} ORDER BY rowid {way}" for way in ("", "DESC")
    ]
    for index in _until_error(connection, f"PRAGMA index_list({table})", 1):
        queries.append(f"SELECT rowid FROM {table} INDEXED BY {index}")
    for query in queries:
        for row_id in _until_error(connection, query, 0):
            if isinstance(row_id, int):
                found.add(row_id)
            if len(found) > _MOST_ROWS:
                break
    return found


def _until_error(connection: sa.Connection, query: str, column: int) -> Iterator[Any]:
    try:
        for row in connection.exec_driver_sql(query):
            yield row[column]
    except sa.exc.DatabaseError:
        return


def _run_of(connection: sa.Connection, table: sa.Table, row_id: int) -> str | None:
    """The id of the run of a row, which an index may have."""
    name = "id" if table is t.runs else "run_id"
    query = f"SELECT {name} FROM {table.name} WHERE rowid = {row_id}"
    for value in _until_error(connection, query, 0):
        return value if isinstance(value, str) else None
    return None


def summary_of(unread: Sequence[Unread], url: str) -> str:
    """What cannot be read, and how to bring it back, in one line."""
    runs = [one for one in unread if one.table == t.runs.name]
    parts = []
    if runs:
        names = [one.run_id or "one without a readable id" for one in runs]
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        noun = "run" if len(runs) == 1 else "runs"
        parts.append(f"{len(runs)} {noun} ({shown})")
    others = [one for one in unread if one.table != t.runs.name]
    for table in dict.fromkeys(one.table for one in others):
        count = sum(one.table == table for one in others)
        parts.append(f"{count} of the {table}")
    folder = next((one.output_dir for one in unread if one.output_dir), "OUTPUT_DIR")
    return (
        f"run history {url}: left out because they cannot be read: "
        f"{' and '.join(parts)} ({unread[0].reason}). Restore them from the traces: "
        f"sftguide runs import {folder} --storage {url}. If the file itself is "
        "damaged, move it away first"
    )
