"""Connections to PostgreSQL that end when the machine at the other end is gone.

TCP does not report that a machine was switched off or lost its network. A worker would
wait for its server for a quarter of an hour, and a server would keep the locks of a
worker, for which all others wait, for two hours.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import sqlalchemy as sa

QUIET_S = 30
"""Idle seconds after which a TCP keepalive is sent."""

GONE_S = 60
"""Idle seconds after which the connection is closed."""

_ASKED_EVERY_S = 10


def connect_args(url: sa.URL, timeout_s: float) -> dict[str, Any]:
    """The arguments with which a client notices that its server is gone.

    Args:
        url: The database; other kinds than PostgreSQL get no arguments.
        timeout_s: How long to wait for a connection.
    """
    if url.get_backend_name() != "postgresql":
        return {}
    return {
        "connect_timeout": max(2, int(timeout_s)),  # libpq knows no less
        "keepalives_idle": QUIET_S,
        "keepalives_interval": _ASKED_EVERY_S,
        "keepalives_count": (GONE_S - QUIET_S) // _ASKED_EVERY_S,
        "tcp_user_timeout": 1000 * GONE_S,
    }


def let_server_notice(engine: sa.Engine) -> None:
    """Let the server of an engine notice that this client is gone."""
    if engine.dialect.name == "postgresql":
        sa.event.listen(engine, "connect", _set_limits)


def _set_limits(connection: Any, _: object) -> None:
    settings = {
        "tcp_keepalives_idle": QUIET_S,
        "tcp_keepalives_interval": _ASKED_EVERY_S,
        "tcp_keepalives_count": (GONE_S - QUIET_S) // _ASKED_EVERY_S,
        "tcp_user_timeout": 1000 * GONE_S,
    }
    # A server that only resembles PostgreSQL may not know them.
    with suppress(Exception):
        with connection.cursor() as cursor:
            cursor.execute("; ".join(f"SET {k} = {v}" for k, v in settings.items()))
        connection.commit()
        return
    connection.rollback()


def missing_driver(error: Exception) -> str:
    """What to install if the error is that PostgreSQL's driver is missing, or empty."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name not in ("psycopg", "psycopg2"):
        return ""
    write = "" if name == "psycopg" else "write postgresql+psycopg://..., and "
    return (
        f"the driver {name} is not installed; {write}"
        "pip install 'axolotl-sftguide[postgresql]'"
    )
