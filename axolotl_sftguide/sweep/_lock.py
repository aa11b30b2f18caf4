"""What only one worker of a sweep may do at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from ..errors import StorageError
from ..runs.postgresql import connect_args, let_server_notice, missing_driver
from .storage import CONNECT_S, cause_of, parse_url

_LOCK = 0x5F76_D1DF
"""PostgreSQL's advisory lock."""


@contextmanager
def alone(storage: str) -> Iterator[None]:
    """Keep the other workers of a storage out meanwhile.

    Raises:
        StorageError: If the server cannot be reached, or its driver is missing.
    """
    url = parse_url(storage)
    if url.get_backend_name() == "sqlite":
        from filelock import FileLock

        lock = Path(f"{url.database}.sweep-lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            yield
        return
    arguments = connect_args(url, CONNECT_S)
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments)
        let_server_notice(engine)
        connected = engine.connect()
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        shown = url.render_as_string(hide_password=True)
        if said := missing_driver(error):
            raise StorageError(f"{shown}: {said}") from None
        raise StorageError(
            f"{shown}: the sweep cannot connect to it ({cause_of(error)}). Start the "
            "server, or name another database with --storage"
        ) from None
    with connected as connection, connection.begin():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield
