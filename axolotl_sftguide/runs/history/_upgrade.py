"""Adds the tables and columns of later schema versions to an existing history.

An explicit command, never a side effect of opening: a new client must not lock workers
with an older version out of a shared database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ...errors import StorageError
from . import _tables as t
from ._database import Database, is_there, resolve_storage


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade did."""

    url: str
    """The storage URL, without a password."""
    before: int
    """The schema version before."""
    after: int
    """The schema version now."""


def upgrade_storage(storage: str | None = None) -> Upgrade:
    """Upgrade the schema of a history to this version; stored data stay as they are.

    Args:
        storage: URL or path; see `resolve_storage`.

    Raises:
        StorageError: If there is no history, or it is newer or cannot be upgraded.
    """
    if not is_there(storage):
        raise StorageError(f"run history {resolve_storage(storage)}: does not exist")
    database = Database(storage, any_older=True)
    try:
        with database.changing_tables() as connection:
            query = sa.select(sa.func.max(t.meta.c.schema_version))
            before = int(connection.execute(query).scalar_one())
            _add_what_is_missing(connection, before)
        return Upgrade(database.url, before, t.SCHEMA_VERSION)
    finally:
        database.close()


def _add_what_is_missing(connection: sa.Connection, before: int) -> None:
    for version in range(before + 1, t.SCHEMA_VERSION + 1):
        tables = t.TABLES_ADDED_IN.get(version, ())
        t.metadata.create_all(connection, tables=tables)
        for column in t.COLUMNS_ADDED_IN.get(version, ()):
            _add_column(connection, column)
    connection.execute(sa.update(t.meta).values(schema_version=t.SCHEMA_VERSION))


def _add_column(connection: sa.Connection, column: sa.Column[Any]) -> None:
    """Add a column, unless it came with its table."""
    table = column.table.name
    existing = {known["name"] for known in sa.inspect(connection).get_columns(table)}
    if column.name not in existing:
        kind = column.type.compile(connection.dialect)
        connection.exec_driver_sql(
            f"ALTER TABLE {table} ADD COLUMN {column.name} {kind}"
        )
