"""Optuna and its storage, in the database of the run history."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa

from ..errors import SFTGuideError, StorageError, SweepError
from ..runs.postgresql import connect_args, let_server_notice
from ..runs.private_files import is_file_name, make_private
from ..safe_text import masked

RUN = "sftguide_run"
"""The user attribute of a trial with the id or the name of its run."""

CURVE_POINTS = 64
"""Intermediate values per trial: Optuna and its dashboard load all of them."""

CONNECT_S = 10.0
"""How long to wait for a connection to a server."""

_PATIENCE_S = 60.0
"""How long to wait for an SQLite file that another worker writes."""

P = ParamSpec("P")
R = TypeVar("R")


def optuna_module() -> Any:
    """Import Optuna, and let it log warnings only.

    Raises:
        SweepError: If it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise SweepError(
            "Optuna is not installed: pip install 'axolotl-sftguide[sweep]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def parse_url(url: str) -> sa.URL:
    """The parts of a storage URL.

    Raises:
        StorageError: If it is no URL, or a path that no URL can name.
    """
    if "://" not in url:
        raise StorageError(
            f"{url}: this SQLAlchemy cannot open a path with a question mark. Choose "
            "another path with --storage, or upgrade SQLAlchemy to 2.1"
        )
    try:
        return sa.make_url(url)
    except sa.exc.ArgumentError:
        raise StorageError(
            f"{masked(url)}: not a storage URL. Write for example "
            "sqlite:///outputs/sftguide.db"
        ) from None


def open_storage(url: str) -> Any:
    """Optuna's storage at an SQLAlchemy URL.

    Its tables and those of the run history have different names, so they share a
    database.

    Raises:
        StorageError: If it cannot be opened.
    """
    optuna = optuna_module()
    parsed = parse_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    arguments = {"timeout": _PATIENCE_S} if sqlite else connect_args(parsed, CONNECT_S)
    # A connection that broke while a trial trained is replaced, not reported.
    engine = {"connect_args": arguments, "pool_pre_ping": not sqlite}
    if sqlite and is_file_name(parsed.database):
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        make_private(parsed.database)
    try:
        storage = optuna.storages.RDBStorage(url, engine_kwargs=engine)
    except (sa.exc.SQLAlchemyError, RuntimeError, ImportError) as error:
        shown = parsed.render_as_string(hide_password=True)
        raise StorageError(
            f"{shown}: Optuna cannot open it ({cause_of(error)})"
        ) from None
    let_server_notice(storage.engine)
    storage.engine.dispose()  # later connections are made anew
    return storage


def cause_of(error: BaseException) -> str:
    """The first line of what the database said."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0]


_WRONG_STATEMENTS = (
    sa.exc.DataError,
    sa.exc.IntegrityError,
    sa.exc.NotSupportedError,
    sa.exc.ProgrammingError,
)


def _beneath(error: Exception) -> BaseException:
    """The error of the database, which Optuna's own errors have as their cause."""
    if isinstance(error, sa.exc.SQLAlchemyError):
        return error
    return error.__cause__ or error


def _is_of_storage(cause: BaseException) -> bool:
    """Whether the database itself failed, and not one wrong statement."""
    if isinstance(cause, sa.exc.StatementError):
        known = isinstance(cause, sa.exc.DBAPIError)
        return known and not isinstance(cause, _WRONG_STATEMENTS)
    return isinstance(cause, (sa.exc.SQLAlchemyError, OSError))


def as_storage_error(method: Callable[P, R]) -> Callable[P, R]:
    """Turn errors of the database into a `StorageError` of one line.

    Any other error is one of this package and is raised as it is.
    """

    @functools.wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except SFTGuideError:
            raise
        except Exception as error:
            cause = _beneath(error)
            if not _is_of_storage(cause):
                raise
            raise StorageError(
                f"the sweep's storage: {cause_of(cause) or type(error).__name__}"
            ) from error

    return wrapped
