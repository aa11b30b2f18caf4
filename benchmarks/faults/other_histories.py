"""Campaign: in the place of the run history is something else, or another version."""

import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checks
from histories import COMMANDS, listed, make_history
from outcome import Outcome
from tally import Tally

from axolotl_sftguide.runs.history import SCHEMA_VERSION


def other_files(scratch: Path, seed: int, share: float) -> Outcome:
    """Histories of another version, and what is no history at all."""
    tally = Tally("history: of another version, no database, a folder, a pipe, locked")
    storage, _, known = make_history(scratch)
    whole = storage.read_bytes()
    for number, (name, damage) in enumerate(sorted(_OTHERS.items())):
        draw = random.Random(f"{seed} others {number}")
        folder = scratch / f"other-{number}"
        folder.mkdir()
        hurt = folder / "runs.db"
        hurt.write_bytes(whole)
        undo = damage(hurt)
        tally.tries += 1
        started = time.monotonic()
        for words in [COMMANDS[0], *draw.sample(COMMANDS, 1)]:
            named = [str(folder / "r.html") if w == "REPORT" else w for w in words]
            code, said = checks.called(tally, *named, "--storage", str(hurt))
            # The configs are wide: the table has ids, and no room for names.
            if code == 0 and "1000" not in said and words is COMMANDS[0]:
                tally.loss(f"{name}: no run is listed, and nothing said: {said}")
        if time.monotonic() - started > 60:
            tally.mistake(f"{name}: four commands took more than a minute")
        undo()
        if not set(known) <= {run["id"] for run in json.loads(listed(hurt).stdout)}:
            tally.loss(f"{name}: not all runs are there when it is over")
    return tally.outcome()


def _sql(*statements: str) -> Callable[[Path], Callable[[], None]]:
    """Damage by statements; undone by the file as it was."""

    def damage(path: Path) -> Callable[[], None]:
        before = path.read_bytes()
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return lambda: _put_back(path, before)

    return damage


def _put_back(path: Path, content: bytes) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(content)


def _replaced(make: Callable[[Path], Any]) -> Callable[[Path], Callable[[], None]]:
    def damage(path: Path) -> Callable[[], None]:
        before = path.read_bytes()
        path.unlink()
        make(path)
        return lambda: _put_back(path, before)

    return damage


def _locked(path: Path) -> Callable[[], None]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("pragma locking_mode = exclusive")
    connection.execute("begin exclusive")
    return connection.close


def _being_written(path: Path) -> Callable[[], None]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("begin immediate")
    return connection.close


def _pipe(path: Path) -> None:

    os.mkfifo(path)


_VERSION = "update sftguide_meta set schema_version = "
_OTHERS: dict[str, Callable[[Path], Callable[[], None]]] = {
    "newer": _sql(f"{_VERSION}{SCHEMA_VERSION + 1}"),
    "far newer": _sql(f"{_VERSION}{10**15}"),
    "older": _sql(f"{_VERSION}{SCHEMA_VERSION - 1}"),
    "version zero": _sql(f"{_VERSION}0"),
    "version as text": _sql(f"{_VERSION}'six'"),
    "version as bytes": _sql(f"{_VERSION}x'ff'"),
    "no version": _sql("delete from sftguide_meta"),
    "two versions": _sql("insert into sftguide_meta values (1)"),
    "no runs table": _sql("drop table runs"),
    "no scores table": _sql("drop table scores"),
    "other columns": _sql("alter table runs rename column step to steps"),
    "text": _replaced(lambda path: path.write_text("not a database, but notes\n" * 99)),
    "zeros": _replaced(lambda path: path.write_bytes(bytes(2**16))),
    "a folder": _replaced(lambda path: path.mkdir()),
    "a pipe": _replaced(_pipe),
    "a broken link": _replaced(lambda path: path.symlink_to(path.parent / "no" / "x")),
    "a link to itself": _replaced(lambda path: path.symlink_to(path)),
    "locked": _locked,
    "being written": _being_written,
}

CAMPAIGNS = (other_files,)
