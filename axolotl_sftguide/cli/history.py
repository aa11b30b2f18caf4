"""How commands open the run history and print what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .common import echo, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..runs.history import Run, RunHistory


storage_option = click.option(
    "--storage",
    metavar="URL",
    help="Run history: a URL or an SQLite file. Default: SFTGUIDE_STORAGE, or the "
    "history in your home folder.",
)


def open_existing(storage: str | None) -> RunHistory | None:
    """The history; None where the default one does not exist yet.

    Raises:
        StorageError: If `storage` names a file that does not exist.
    """
    from ..errors import StorageError
    from ..runs.history import RunHistory, is_there

    if is_there(storage):
        history = RunHistory(storage)
        if damage := history.damage():
            echo(damage, err=True)
        return history
    if storage is not None:
        raise StorageError(f"{storage} does not exist (nothing created)")
    return None


def require(storage: str | None) -> RunHistory:
    """The history, to read a run from.

    Raises:
        StorageError: If it does not exist.
    """
    from ..errors import StorageError
    from ..runs.history import resolve_storage

    history = open_existing(storage)
    if history is None:
        raise StorageError(f"no runs yet: {resolve_storage()} does not exist")
    return history


def named(
    history: RunHistory, names: Sequence[str], study: str | None = None
) -> list[Run]:
    """The runs that are named by ids, starts of ids or names, each once.

    Raises:
        StorageError: If a name matches no run, or several.
    """
    found = [history.get(name, study=study) for name in names]
    return list({run.id: run for run in found}.values())


def no_runs(history: RunHistory | None, study: str | None) -> None:
    """Report that no run was found."""
    from ..errors import StorageError
    from ..runs.history import resolve_storage

    known = [] if history is None else history.studies()
    if known:
        studies = ", ".join(known)
        raise StorageError(f"no runs in study {study!r}; studies: {studies}")
    note("no runs yet; Axolotl runs with the plugin are recorded here:")
    note(f"storage: {resolve_storage() if history is None else history.url}")


def plain(run: Any) -> dict[str, Any]:
    """A run as values for JSON."""
    from dataclasses import asdict

    return {
        **asdict(run),
        "shown_status": run.shown_status,
        "steps_saved": run.steps_saved,
    }


def echo_csv(runs: Sequence[Run]) -> None:
    """Print runs as CSV, with the settings that they differ in."""
    import csv
    import sys

    from ..config.differences import flatten, varied_keys
    from ..runs.history import rows_of
    from ..runs.redaction import json_safe
    from ..safe_text import masker, printable

    mask = masker()

    def cell(value: Any) -> Any:
        """A value as a terminal may show it."""
        if isinstance(value, (bool, int, float)):
            return value
        return printable(mask(str(value or "")))

    keys = varied_keys([run.config for run in runs])
    rows = rows_of(runs)
    configs = map(flatten, json_safe([run.config for run in runs]))
    for config, row in zip(configs, rows, strict=True):
        row.update({f"config.{key}": config.get(key) for key in keys})
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(map(cell, columns))
    out.writerows([cell(row.get(name)) for name in columns] for row in rows)
