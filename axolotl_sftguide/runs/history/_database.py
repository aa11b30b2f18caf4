"""The database of the history: its URL, opening it, and transactions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
import sqlalchemy as sa

from ...errors import StorageError
from ..postgresql import missing_driver
from ..private_files import (
    close_to_others,
    is_file_name,
    make_private,
    make_private_folder,
)
from . import _tables as t
from ._engine import make_engine
from ._rows import is_damage

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
    try:
        url = _url_of(resolve_storage(storage))
        if url.get_backend_name() != "sqlite":
            return True
        return Path(url.database or "").exists()
    except (sa.exc.ArgumentError, OSError):  # opening it says so
        return True


def _url_of(storage: str) -> sa.URL:
    """The URL of a resolved storage."""
    if "://" in storage:
        return sa.make_url(storage)
    return sa.URL.create("sqlite", database=storage)


_LOCK = 0x5F76_D1DE
"""PostgreSQL's advisory lock for creating and upgrading the tables."""

_MOST_CHECKED = 16 << 20
"""Bytes of a file that SQLite checks in 0.2 seconds."""

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
            self._engine = make_engine(url, timeout_s)
            self._prepare(url, any_older)
            self._file = Path(url.database) if self._sqlite and url.database else None
            self._opened = _identity(self._file)
        except (sa.exc.ArgumentError, ImportError) as error:
            if said := missing_driver(error):
                raise StorageError(f"run history {self.url}: {said}") from None
            raise StorageError(
                f"run history {self.url}: not a usable storage URL ({error}). Write "
                "for example sqlite:///outputs/sftguide.db"
            ) from None
        except (sa.exc.SQLAlchemyError, OSError) as error:
            if is_damage(getattr(error, "orig", None)):
                raise StorageError(self.damaged(_cause(error))) from None
            raise StorageError(
                f"run history {self.url}: cannot be opened ({_cause(error)}). Set "
                f"sftguide.storage or {STORAGE_VARIABLE} to a writable location"
            ) from None

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One transaction that reads."""
        with self._one_line_errors(), self._engine.connect() as connection:
            connection.begin()
            if self._sqlite:
                connection.exec_driver_sql("BEGIN DEFERRED")
            try:
                yield connection
            finally:
                # A damaged file can be read in part, and then not be committed to.
                with suppress(sa.exc.DatabaseError):
                    connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that may write; it is committed whole or not at all.

        An SQLite file that was removed or replaced is not written to: what it would
        get is lost.
        """
        if _identity(self._file) != self._opened:
            raise StorageError(f"run history {self.url}: was removed or replaced")
        with self._one_line_errors(), self._transaction() as connection:
            yield connection

    @contextmanager
    def changing_tables(self) -> Iterator[sa.Connection]:
        """One transaction during which no other process changes the tables."""
        with self._one_line_errors(), self._alone() as connection:
            yield connection

    def damage(self) -> str | None:
        """What is wrong with an SQLite file, and the way out, in one line.

        SQLite reads some damaged files without an error, and leaves rows out. Its own
        check takes a second for 100 MB, so that only small files are checked.
        """
        if self._file is None or self._file.stat().st_size > _MOST_CHECKED:
            return None
        try:
            with self._engine.connect() as connection:
                query = "PRAGMA integrity_check(1)"
                found = str(connection.exec_driver_sql(query).scalar())
        except sa.exc.DatabaseError as error:
            if not is_damage(error.orig):
                return None
            found = _cause(error)
        first = found.splitlines()[-1] if found else "no answer"
        return None if found == "ok" else self.damaged(first)

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
            versions = connection.execute(query).scalars().all()
        known = [version for version in versions if isinstance(version, int)]
        if not known:
            raise StorageError(self.damaged("it has no schema version"))
        found = max(known)
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

    def damaged(self, cause: str) -> str:
        """The error for a damaged file."""
        return (
            f"run history {self.url}: is damaged, or not a run history ({cause}); runs "
            "may be missing or wrong. Move it away, then make a new one from the "
            f"traces: sftguide runs import OUTPUT_DIR --storage {self.url}"
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
        with self._transaction() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield connection

    @property
    def _sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            if self._sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            if is_damage(getattr(error, "orig", None)):
                raise StorageError(self.damaged(_cause(error))) from None
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


def _identity(path: Path | None) -> tuple[int, int] | None:
    """What tells a file from another one at the same path; None if it is not there."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found is not None else None


def _cause(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error)
    return text.partition("\n")[0] or type(error).__name__
