"""Engines for SQLite and PostgreSQL that never wait for long."""

from __future__ import annotations

import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from ..postgresql import connect_args, let_server_notice


def make_engine(url: sa.URL, timeout_s: float) -> sa.Engine:
    """An engine for the database of a history.

    Args:
        url: Its URL.
        timeout_s: How long to wait for a locked file or for a server.
    """
    name = url.get_backend_name()
    if name != "sqlite":
        engine = sa.create_engine(url, connect_args=connect_args(url, timeout_s))
        if name == "postgresql":
            sa.event.listen(engine, "connect", partial(_wait_at_most, timeout_s))
            let_server_notice(engine)
        return engine
    # No isolation level: a transaction issues BEGIN, also before a first SELECT.
    arguments: dict[str, Any] = {"timeout": timeout_s, "isolation_level": None}
    if url.database and _may_only_be_read(Path(url.database)):
        path = quote(str(Path(url.database).absolute()))
        connect = partial(
            sqlite3.connect,
            f"file:{path}?immutable=1",
            uri=True,
            check_same_thread=False,
            **arguments,
        )
        return sa.create_engine(url, creator=connect)
    engine = sa.create_engine(url, connect_args=arguments)
    sa.event.listen(engine, "connect", _write_fast)
    return engine


def _may_only_be_read(path: Path) -> bool:
    """Whether a file lies in a folder that may not be written, and nobody writes it.

    In WAL mode SQLite makes files beside it even to read, unless it is immutable.
    """
    wal = Path(f"{path}-wal")
    return path.is_file() and not os.access(path.parent, os.W_OK) and not wal.exists()


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
