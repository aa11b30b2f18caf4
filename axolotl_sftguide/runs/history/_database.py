"""Where the history lies, how it is opened, read and written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import platformdirs
import sqlalchemy as sa

from ...errors import StorageError
from . import _tables as t

STORAGE_VARIABLE = "SFTGUIDE_STORAGE"
"""The environment variable that names the storage where no setting does."""


def default_storage() -> str:
    """The SQLite file that serves Axolotl, TRL and the command line alike."""
    folder = platformdirs.user_data_path("sftguide", appauthor=False)
    return f"sqlite:///{folder / 'runs.db'}"


def resolve_storage(storage: str | None = None) -> str:
    """The storage URL: the argument, else `SFTGUIDE_STORAGE`, else the default.

    A path without a scheme is taken as an SQLite file.
    """
    chosen = storage or os.environ.get(STORAGE_VARIABLE) or default_storage()
    if "://" not in chosen:
        return f"sqlite:///{Path(chosen).expanduser()}"
    return chosen


def is_there(storage: str | None = None) -> bool:
    """Whether a history may be read without making one: a server's is taken for it."""
    url = sa.make_url(resolve_storage(storage))
    if url.get_backend_name() != "sqlite":
        return True
    return Path(url.database or "").exists()


_LOCK = 0x5F76_D1DE
"""The advisory lock under which the tables are made."""

_PATIENCE_S = 5.0
"""How long a file that another process writes, or a server, is waited for."""


class Database:
    """An engine whose faults come as one line each.

    Raises:
        StorageError: Where it cannot be opened, or is of a newer version.
    """

    def __init__(self, storage: str | None) -> None:
        self.url = resolve_storage(storage)
        """Where it lies; a password in it is left out."""
        try:
            url = sa.make_url(self.url)
            self.url = url.render_as_string(hide_password=True)
            self._engine = sa.create_engine(url, connect_args=_open_args(url))
            if self._sqlite:
                sa.event.listen(self._engine, "connect", _quick)
            self._prepare(url)
        except (sa.exc.ArgumentError, ImportError) as error:
            raise StorageError(
                f"run history {self.url}: not a usable storage URL ({error}); write "
                "for example sqlite:///outputs/sftguide.db"
            ) from None
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise StorageError(
                f"run history {self.url}: cannot be opened ({_cause(error)}); set "
                f"`sftguide.storage` or {STORAGE_VARIABLE} to a place you can write to"
            ) from None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that reads."""
        with self._told(), self._transaction("DEFERRED") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that may write; all of it is kept, or nothing."""
        with self._told(), self._transaction("IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def _prepare(self, url: sa.URL) -> None:
        if self._sqlite and url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        if not sa.inspect(self._engine).has_table(t.meta.name):
            self._create()
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(t.meta.c.schema_version)).scalar_one()
        if found < t.SCHEMA_VERSION:
            self._upgrade(found)
        if found > t.SCHEMA_VERSION:
            raise StorageError(
                f"run history {self.url}: is of version {found}, this axolotl-sftguide "
                f"knows version {t.SCHEMA_VERSION}; upgrade it, or name another with "
                f"`sftguide.storage` or {STORAGE_VARIABLE}"
            )

    def _create(self) -> None:
        with self._alone() as connection:
            t.metadata.create_all(connection)
            # Another process may have been faster.
            if connection.execute(sa.select(t.meta)).first() is None:
                row = {"schema_version": t.SCHEMA_VERSION}
                connection.execute(sa.insert(t.meta).values(row))
        if self._sqlite:
            # Readers do not wait for a writer then; where one holds the file just
            # now, they do.
            with (
                suppress(sa.exc.OperationalError),
                self._engine.connect() as connection,
            ):
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def _upgrade(self, found: int) -> None:
        """Add what later versions added. Nothing that was there is touched."""
        with self._alone() as connection:
            for version in range(found + 1, t.SCHEMA_VERSION + 1):
                tables = t.TABLES_ADDED_IN.get(version, ())
                t.metadata.create_all(connection, tables=tables)
                for column in t.COLUMNS_ADDED_IN.get(version, ()):
                    _add_column(connection, column)
            connection.execute(
                sa.update(t.meta).values(schema_version=t.SCHEMA_VERSION)
            )

    @contextmanager
    def _alone(self) -> Iterator[sa.Connection]:
        """No other process changes the tables meanwhile."""
        with self._transaction("IMMEDIATE") as connection:
            if self._engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield connection

    @property
    def _sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def _transaction(
        self, mode: Literal["DEFERRED", "IMMEDIATE"]
    ) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            if self._sqlite:
                connection.exec_driver_sql(f"BEGIN {mode}")
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise StorageError(
                f"run history {self.url}: {_cause(error)}; what is missing can be "
                "entered later with `sftguide runs import OUTPUT_DIR`"
            ) from None


def _add_column(connection: sa.Connection, column: sa.Column[Any]) -> None:
    """Unless it came with its table, or another process was faster."""
    table = column.table.name
    there = {known["name"] for known in sa.inspect(connection).get_columns(table)}
    if column.name not in there:
        kind = column.type.compile(connection.dialect)
        connection.exec_driver_sql(
            f"ALTER TABLE {table} ADD COLUMN {column.name} {kind}"
        )


def _quick(connection: Any, _: Any) -> None:
    # Under WAL a lost power costs the last writes, never the file; a wait for the
    # disk at each of them would cost far more.
    connection.execute("PRAGMA synchronous=NORMAL")


def _open_args(url: sa.URL) -> dict[str, Any]:
    # No isolation level: `_transaction` begins by itself, before the first reading.
    if url.get_backend_name() == "sqlite":
        return {"timeout": _PATIENCE_S, "isolation_level": None}
    if url.get_backend_name() == "postgresql":
        return {"connect_timeout": int(_PATIENCE_S)}
    return {}


def _cause(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error)
    return text.partition("\n")[0] or type(error).__name__
