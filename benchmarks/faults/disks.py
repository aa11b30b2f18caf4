"""Campaigns: full disks, folders that may not be written, storage that goes away."""

import os
import random
import sqlite3
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import checks
import trainings
from children import NOBODY, begin, wait_for
from outcome import Outcome
from processes_training import undisturbed
from small_disks import can_mount, fill, small_disk
from tally import Tally

from axolotl_sftguide.runs.history import SCHEMA_VERSION, RunHistory

STEPS = 60
PAUSE_S = 0.03
Undo = Callable[[], None]


def _locks(storage: Path) -> Undo:
    connection = sqlite3.connect(storage, isolation_level=None, timeout=5)
    connection.execute("begin immediate")
    return connection.close


def _goes(storage: Path) -> Undo:
    away = storage.parent.with_name("away")
    storage.parent.rename(away)
    storage.parent.write_text("a file where the folder was")

    def back() -> None:
        storage.parent.unlink()
        away.rename(storage.parent)

    return back


def _is_deleted(storage: Path) -> Undo:
    for path in storage.parent.glob(f"{storage.name}*"):
        path.unlink()
    return lambda: None


def _is_garbage(storage: Path) -> Undo:
    before = storage.read_bytes()
    for path in storage.parent.glob(f"{storage.name}-*"):
        path.unlink()
    storage.write_bytes(os.urandom(len(before)))

    def back() -> None:
        for path in storage.parent.glob(f"{storage.name}-*"):
            path.unlink()
        storage.write_bytes(before)

    return back


def _is_newer(storage: Path) -> Undo:
    def set_to(version: int) -> None:
        connection = sqlite3.connect(storage, timeout=5)
        connection.execute("update sftguide_meta set schema_version = ?", (version,))
        connection.commit()
        connection.close()

    set_to(SCHEMA_VERSION + 1)
    return lambda: set_to(SCHEMA_VERSION)


def _is_read_only(storage: Path) -> Undo:
    """For other users than root."""
    modes = {path: path.stat().st_mode for path in storage.parent.iterdir()}
    modes[storage.parent] = storage.parent.stat().st_mode
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)

    def back() -> None:
        for path, mode in modes.items():
            if path.exists():
                path.chmod(mode)

    return back


_STORAGE_FAULTS: dict[str, Callable[[Path], Undo]] = {
    "locked": _locks,
    "gone": _goes,
    "deleted": _is_deleted,
    "garbage": _is_garbage,
    "newer": _is_newer,
    "read-only": _is_read_only,
    "full": lambda storage: fill(storage.parent),
}


def storage_in_mid_run(scratch: Path, seed: int, share: float) -> Outcome:
    """The history fails while a run trains, for a while or to its end."""
    tally = Tally("history fails in mid run: locked, gone, full, newer, ..., and back")
    if not can_mount():
        return tally.skipped("needs root, to mount")
    scratch.chmod(0o755)  # nobody trains in it
    expected, weights, _ = undisturbed(scratch / "undisturbed", steps=STEPS)
    kinds = sorted(_STORAGE_FAULTS)
    for number in range(max(1, round(4 * len(kinds) * share))):
        kind = kinds[number % len(kinds)]
        draw = random.Random(f"{seed} storage {number}")
        comes_back, trace = draw.random() < 0.7, number % 4 != 3
        where = f"storage {number} ({kind}{', and back' * comes_back})"
        where += "" if trace else ", no trace"
        folder = scratch / f"try-{number}"
        folder.mkdir()
        folder.chmod(0o777)
        tally.tries += 1
        with small_disk(folder / "disk"):
            storage, out = folder / "disk" / "h" / "runs.db", folder / "out"
            process = _begin_as_nobody(folder, storage, trace=trace)
            at = draw.randint(0, 20)
            wait_for(lambda s=storage, at=at: _step(s) >= at)
            undo = _STORAGE_FAULTS[kind](storage)
            if comes_back:
                time.sleep(draw.uniform(0.3, 0.9))
                undo()
            process.join(120)
            if not comes_back:
                undo()
            text = checks.quiet(tally, folder / "log", where)
            if process.exitcode or (out / "weights.0").read_text() != weights:
                tally.mistake(f"{where}: training was harmed: {text[-300:]}")
                continue
            if text.count("warning: run history") > 1:
                tally.mistake(f"{where}: more than one warning: {text[-600:]}")
            if trace:
                _compare(tally, out, storage, expected, comes_back, text, where)
            elif comes_back:
                _without_trace(tally, storage, expected, where)
    return tally.outcome()


def _begin_as_nobody(folder: Path, storage: Path, *, trace: bool) -> BaseProcess:
    options = {
        "pause_s": PAUSE_S,
        "steps": STEPS,
        "quick_retries": True,
        "trace": trace,
    }
    return begin(
        trainings.train_with,
        str(folder / "out"),
        options,
        log=folder / "log",
        user=NOBODY,
        SFTGUIDE_STORAGE=str(storage),
        HOME=str(folder),
    )


def _compare(
    tally: Tally,
    out: Path,
    storage: Path,
    expected: Any,
    comes_back: bool,
    text: str,
    where: str,
) -> None:
    (trace,) = checks.read_all(tally, out, where)
    checks.as_before(tally, trace, expected, where, at_least=STEPS)
    if not comes_back:
        found = RunHistory(str(storage)).runs()
        missing = [run.status for run in found] != ["finished"]
        if missing and "sftguide runs import" not in text:
            tally.loss(f"{where}: does not say how to bring the run back: {text}")
        words = ("runs", "import", str(out), "--storage", str(storage))
        checks.called(tally, *words)
    checks.in_history(tally, storage, trace, "finished", where)


def _without_trace(tally: Tally, storage: Path, expected: Any, where: str) -> None:
    """Without a trace, the history has at least how the run ended."""
    found = RunHistory(str(storage)).runs()
    if [(r.shown_status, r.step) for r in found] != [("finished", len(expected))]:
        shown = [(r.shown_status, r.step) for r in found]
        tally.loss(f"{where}: the history has {shown}")


def _step(storage: Path) -> int:
    if not storage.exists():
        return -1
    connection = sqlite3.connect(f"file:{storage}?mode=ro", uri=True)
    try:
        row = connection.execute("select max(step) from runs").fetchone()
        return -1 if row[0] is None else int(row[0])
    finally:
        connection.close()


def full_disks(scratch: Path, seed: int, share: float) -> Outcome:
    """The disk of the trace is full, for a while or to the end, often the history's."""
    tally = Tally("disk of the output folder is full in mid run, and has space again")
    if not can_mount():
        return tally.skipped("needs root, to mount")
    expected, weights, _ = undisturbed(scratch / "undisturbed", save_steps=0)
    for number in range(max(1, round(24 * share))):
        draw = random.Random(f"{seed} full {number}")
        comes_back, both = draw.random() < 0.6, draw.random() < 0.6
        where = f"full {number}{' and the history' * both}{', and back' * comes_back}"
        folder = scratch / f"try-{number}"
        folder.mkdir()
        tally.tries += 1
        with small_disk(folder / "disk", "512k"):
            out = folder / "disk" / "out"
            storage = (folder / "disk" if both else folder) / "runs.db"
            process = _begin_on_disk(folder, out, storage)
            at = draw.randint(1, 40)
            wait_for(lambda f=folder, at=at: _seen(f) >= at)
            undo = fill(folder / "disk")
            before = checks.read_all(tally, out, where)
            if comes_back:
                time.sleep(draw.uniform(0.2, 0.8))
                undo()
            process.join(120)
            text = checks.quiet(tally, folder / "log", where)
            if process.exitcode or (folder / "weights.0").read_text() != weights:
                tally.mistake(f"{where}: training was harmed: {text[-300:]}")
                continue
            (trace,) = checks.read_all(tally, out, where)
            least = len(expected) if comes_back else len(before[0].observations)
            checks.as_before(tally, trace, expected, where, at_least=least)
            reachable = comes_back or not both
            _history_of_full(tally, storage, expected, reachable, where)
    return tally.outcome()


def _begin_on_disk(folder: Path, out: Path, storage: Path) -> BaseProcess:
    options = {
        "pause_s": PAUSE_S,
        "save_steps": 0,
        "quick_retries": True,
        "seen": str(folder),
        "rules": False,
    }
    return begin(
        trainings.train_with,
        str(out),
        options,
        log=folder / "log",
        SFTGUIDE_STORAGE=str(storage),
    )


def _history_of_full(
    tally: Tally, storage: Path, expected: Any, reachable: bool, where: str
) -> None:
    found = RunHistory(str(storage)).runs()
    shown = [(run.shown_status, run.step) for run in found]
    if reachable and shown != [("finished", len(expected))]:
        tally.loss(f"{where}: the history has {shown}")
    whole = {one.samples_seen for one in expected}
    for one in found:
        points = RunHistory(str(storage)).points(one.id)
        if any(point.samples_seen not in whole for point in points):
            tally.mistake(f"{where}: points {points}")


def _seen(folder: Path) -> int:
    path = folder / trainings.SEEN
    lines = path.read_text().split() if path.exists() else []
    return int(lines[-1]) if lines else 0


CAMPAIGNS = (storage_in_mid_run, full_disks)
