"""The database of the history: its URL, opening it, and transactions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

import platformdirs
import sqlalchemy as sa

from ...errors import StorageError
from ..private_files import (
    close_to_others,
    is_file_name,
    make_private,
    make_private_folder,
)
from . import _tables as t

STORAGE_VARIABLE = "SFTGUIDE_STORAGE"
"""The environment variable that names the storage if no setting does."""


def default_storage() -> str:
    """The user's SQLite file, shared by Axolotl, TRL and the command line."""
    return f"sqlite:///{_default_folder() / 'runs.db'}"


def _default_folder() -> Path:
    return platformdirs.user_data_path("sftguide", appauthor=False)


def resolve_storage(storage: str | None = None) -> str:
    """The storage URL: the argument, else `SFTGUIDE_STORAGE`, else the default.

    A path without a scheme is the path of an SQLite file. It is returned as a URL; a
    path with a question mark only if this SQLAlchemy can write it as one.
    """
    chosen = storage or os.environ.get(STORAGE_VARIABLE) or default_storage()
    if "://" in chosen:
        return chosen
    path = str(Path(chosen).expanduser())
    if "?" not in path:
        return f"sqlite:///{path}"
    # In a URL, a question mark begins the options; SQLAlchemy 2.0 does not quote it.
    quoted = sa.URL.create("sqlite", database=path).render_as_string(False)
    return quoted if sa.make_url(quoted).database == path else path


def is_there(storage: str | None = None) -> bool:
    """Whether the history exists; on a database server it is assumed to exist."""
    url = _url_of(resolve_storage(storage))
    if url.get_backend_name() != "sqlite":
        return True
    return Path(url.database or "").exists()


def _url_of(storage: str) -> sa.URL:
    """The URL of a resolved storage."""
    if "://" in storage:
        return sa.make_url(storage)
    return sa.URL.create("sqlite", database=storage)


_LOCK = 0x5F76_D1DE
"""PostgreSQL's advisory lock for creating and upgrading the tables."""

TIMEOUT_S = 5.0
"""How long to wait for a locked file or for a server."""


class Database:
    """An engine whose errors are `StorageError`s of one line each.

    Args:
        storage: URL or path; see `resolve_storage`.
        timeout_s: How long to wait for a locked file or for a server.
        any_older: Whether an older schema is accepted, so that it can be upgraded.

    Raises:
        StorageError: If it cannot be opened, or has another schema version.
    """

    def __init__(
        self,
        storage: str | None,
        *,
        any_older: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.url = resolve_storage(storage)
        """The storage URL, without a password."""
        try:
            url = _url_of(self.url)
            self.url = url.render_as_string(hide_password=True)
            self._engine = sa.create_engine(
                url, connect_args=_open_args(url, timeout_s)
            )
            if self._sqlite:
                sa.event.listen(self._engine, "connect", _write_fast)
            elif self._engine.dialect.name == "postgresql":
                limit = partial(_wait_at_most, timeout_s)
                sa.event.listen(self._engine, "connect", limit)
            self._prepare(url, any_older)
        except (sa.exc.ArgumentError, ImportError) as error:
            raise StorageError(
                f"run history {self.url}: not a usable storage URL ({error}). Write "
                "for example sqlite:///outputs/sftguide.db"
            ) from None
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise StorageError(
                f"run history {self.url}: cannot be opened ({_cause(error)}). Set "
                f"sftguide.storage or {STORAGE_VARIABLE} to a writable location"
            ) from None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that reads."""
        with self._one_line_errors(), self._transaction("DEFERRED") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that may write; it is committed whole or not at all."""
        with self._one_line_errors(), self._transaction("IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def changing_tables(self) -> Iterator[sa.Connection]:
        """One transaction during which no other process changes the tables."""
        with self._one_line_errors(), self._alone() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _prepare(self, url: sa.URL, any_older: bool) -> None:
        if self._sqlite and is_file_name(url.database):
            _make_file(Path(url.database))
        if not sa.inspect(self._engine).has_table(t.meta.name):
            self._create()
        with self._engine.connect() as connection:
            query = sa.select(t.meta.c.schema_version)
            found = connection.execute(query).scalar_one()
        # Tables are never changed here: other processes may use the old ones.
        if found < t.SCHEMA_VERSION and not any_older:
            raise StorageError(
                f"run history {self.url}: has schema version {found}, and this "
                f"axolotl-sftguide needs version {t.SCHEMA_VERSION}. Upgrade it: "
                f"sftguide runs upgrade --storage {self.url}"
            )
        if found > t.SCHEMA_VERSION:
            raise StorageError(
                f"run history {self.url}: has schema version {found}, and this "
                f"axolotl-sftguide supports version {t.SCHEMA_VERSION}. Upgrade "
                "axolotl-sftguide, or choose another history with sftguide.storage or "
                f"{STORAGE_VARIABLE}"
            )

    def _create(self) -> None:
        with self._alone() as connection:
            t.metadata.create_all(connection)
            # Another process may have inserted the row first.
            if connection.execute(sa.select(t.meta)).first() is None:
                row = {"schema_version": t.SCHEMA_VERSION}
                connection.execute(sa.insert(t.meta).values(row))
        if self._sqlite:
            # In WAL mode readers do not wait for a writer. If the file is locked right
            # now, the mode stays as it is.
            with (
                suppress(sa.exc.OperationalError),
                self._engine.connect() as connection,
            ):
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    @contextmanager
    def _alone(self) -> Iterator[sa.Connection]:
        """Holds the lock for creating and upgrading tables."""
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
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise StorageError(
                f"run history {self.url}: {_cause(error)}. Import missing runs "
                "later: sftguide runs import OUTPUT_DIR"
            ) from None


def _make_file(path: Path) -> None:
    """Create an SQLite file for its owner alone, as it holds configs and reasons.

    The folder of the default history was open to everybody before version 1.0.
    """
    if path.parent == _default_folder():
        make_private_folder(path.parent)
        close_to_others(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    make_private(path)


def _write_fast(connection: Any, _: Any) -> None:
    # In WAL mode a power failure loses the last writes but never damages the file.
    # Waiting for the disk at every write would cost far more.
    connection.execute("PRAGMA synchronous=NORMAL")


def _wait_at_most(timeout_s: float, connection: Any, _: Any) -> None:
    # Without a limit, a lock on a table of PostgreSQL is waited for without end.
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {int(1000 * timeout_s)}")
    cursor.close()
    connection.commit()


def _open_args(url: sa.URL, timeout_s: float) -> dict[str, Any]:
    # No isolation level: `_transaction` issues BEGIN, also before a first SELECT.
    if url.get_backend_name() == "sqlite":
        return {"timeout": timeout_s, "isolation_level": None}
    if url.get_backend_name() == "postgresql":
        return {"connect_timeout": max(2, int(timeout_s))}  # libpq knows no less
    return {}


def _cause(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error)
    return text.partition("\n")[0] or type(error).__name__
