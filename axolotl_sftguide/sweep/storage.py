"""Optuna, and its storage beside a run history in the same database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ..errors import StorageError, SweepError

RUN = "sftguide_run"
"""The user attribute of a trial that names its run: its id, or its name."""

CURVE_POINTS = 64
"""Intermediate values of a trial: Optuna and its dashboard load them all at once."""

_PATIENCE_S = 60.0
"""How long an SQLite file that another worker writes is waited for."""


def optuna_module() -> Any:
    """Optuna, with its own chatter turned down to warnings.

    Raises:
        SweepError: Where it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise SweepError(
            "Optuna is not installed here: pip install 'axolotl-sftguide[sweep]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def open_storage(url: str) -> Any:
    """Optuna's storage at an SQLAlchemy URL.

    Its tables have other names than the run history's, so one database holds both.

    Raises:
        StorageError: Where it cannot be opened.
    """
    optuna = optuna_module()
    parsed = sa.make_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    arguments = {"connect_args": {"timeout": _PATIENCE_S}} if sqlite else {}
    if sqlite and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=arguments)
    except (sa.exc.SQLAlchemyError, RuntimeError, ImportError) as error:
        shown = parsed.render_as_string(hide_password=True)
        cause = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise StorageError(f"{shown}: Optuna cannot open it ({cause})") from None
