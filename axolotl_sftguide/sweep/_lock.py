"""What only one worker of a sweep may do at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from ..runs.postgresql import connect_args, let_server_notice
from .storage import CONNECT_S, parse_url

_LOCK = 0x5F76_D1DF
"""PostgreSQL's advisory lock."""


@contextmanager
def alone(storage: str) -> Iterator[None]:
    """Keep the other workers of a storage out meanwhile."""
    url = parse_url(storage)
    if url.get_backend_name() == "sqlite":
        from filelock import FileLock

        lock = Path(f"{url.database}.sweep-lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            yield
        return
    arguments = connect_args(url, CONNECT_S)
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=arguments)
    let_server_notice(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield
