"""Campaigns: mixes that are killed, or whose disk is full."""

import hashlib
import json
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
from children import begin, run, tracebacks
from outcome import Outcome
from small_disks import can_mount, small_disk
from tally import Tally

from axolotl_sftguide.mixing import verify

ROWS = 6000


def call(folder: str, *words: str) -> None:
    """Call `sftguide mix` in a folder."""
    import sys

    from axolotl_sftguide.cli import main

    os.chdir(folder)
    os.setsid()  # as a shell does: Ctrl-C reaches all processes of the command
    sys.exit(main(["mix", "spec.yml", "-o", "mixes", "--workers", "2", *words]))


def _make(folder: Path) -> None:
    folder.mkdir()
    draw = random.Random(0)
    for name in ("a", "b", "c"):
        with (folder / f"{name}.jsonl").open("w") as file:
            for number in range(ROWS // 3):
                text = f"{name} {number} " + "words " * draw.randint(1, 60)
                turns = [
                    {"role": "user", "content": text},
                    {"role": "assistant", "content": str(number % 900)},
                ]
                file.write(json.dumps({"messages": turns}) + "\n")
    phases = [
        {"name": name, "datasets": [{"path": f"{name}.jsonl"}]} for name in ("a", "b")
    ]
    phases[1]["datasets"] += [{"path": "c.jsonl"}]
    spec = {"phases": phases, "held_out": 0.05, "seed": 7}
    (folder / "spec.yml").write_text(json.dumps(spec))


def _digest(folder: Path) -> str | None:
    """The digest of the only mix in a folder."""
    found = [path for path in folder.glob("mixes/*-*") if path.name[0] != "."]
    if len(found) != 1:
        return None
    files = sorted(found[0].glob("*.jsonl"))
    return hashlib.sha256(b"|".join(path.read_bytes() for path in files)).hexdigest()


def killed_mixes(scratch: Path, seed: int, share: float) -> Outcome:
    """Kills at random moments; then the mix is built again."""
    tally = Tally("mix: kill -9, SIGTERM and Ctrl-C at random moments, built again")
    _make(scratch / "data")
    started = time.monotonic()
    ended = run(call, str(scratch / "data"), log=scratch / "log")
    whole_s = time.monotonic() - started
    expected = _digest(scratch / "data")
    assert ended == 0, (scratch / "log").read_text()
    assert expected
    shutil.rmtree(scratch / "data" / "mixes")
    for number in range(max(1, round(30 * share))):
        draw = random.Random(f"{seed} mixes {number}")
        folder, log = scratch / "data", scratch / f"{number}.log"
        how = draw.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        where = f"mixes {number} ({how.name})"
        process = begin(call, str(folder), log=log)
        time.sleep(draw.uniform(0.02, whole_s))
        family = _family(process.pid)
        if process.exitcode is None:
            _send(process.pid or 0, how)
        tally.tries += 1
        process.join(60)
        text = log.read_text() if log.exists() else ""
        for found in tracebacks(text) if "axolotl_sftguide" in text else ():
            tally.traceback(f"{where}: {found}")
        _, alive = psutil.wait_procs(family, timeout=10)
        if alive:
            tally.mistake(f"{where}: {len(alive)} processes go on")
        for made in folder.glob("mixes/stacked-*"):
            problems = verify(made, base=folder)
            if problems:
                tally.mistake(f"{where}: {made.name} is there and wrong: {problems[0]}")
        if number % 3 == 2:
            _again(tally, folder, scratch / "again.log", expected, where)
    return tally.outcome()


def _send(pid: int, how: signal.Signals) -> None:
    """Ctrl-C reaches all processes of a command, the other signals one."""
    with suppress(ProcessLookupError):
        if how is signal.SIGINT and os.getpgid(pid) == pid:
            os.killpg(pid, how)
        else:
            os.kill(pid, how)


def _again(tally: Tally, folder: Path, log: Path, expected: str, where: str) -> None:
    """Built again, the mix is the undisturbed one, and nothing else is left."""
    if run(call, str(folder), log=log) or _digest(folder) != expected:
        tally.loss(f"{where}: built again, it is another mix: {log.read_text()[-300:]}")
    left = [path.name for path in folder.glob("mixes/.*") if path.suffix != ".lock"]
    if left:
        tally.mistake(f"{where}: {left} is left")
    shutil.rmtree(folder / "mixes", ignore_errors=True)


def _family(pid: int | None) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def mixes_on_full_disks(scratch: Path, seed: int, share: float) -> Outcome:
    """The disk is full at a random point; with space, the same mix is built."""
    tally = Tally("mix: the disk is full, or a source goes away, at a random point")
    if not can_mount():
        return tally.skipped("needs root, to mount")
    _make(scratch / "data")
    assert run(call, str(scratch / "data"), log=scratch / "log") == 0
    expected = _digest(scratch / "data")
    shutil.rmtree(scratch / "data" / "mixes")
    for number in range(max(1, round(16 * share))):
        draw = random.Random(f"{seed} full mixes {number}")
        folder, log = scratch / f"try-{number}", scratch / f"{number}.log"
        shutil.copytree(scratch / "data", folder)
        if number % 4 == 3:
            where = f"mixes {number} (a source goes away)"
            process = begin(call, str(folder), log=log)
            time.sleep(draw.uniform(0.0, 1.0))
            (folder / "c.jsonl").rename(folder / "away")
            process.join(60)
            _one_line(tally, log, process.exitcode, where)
            (folder / "away").rename(folder / "c.jsonl")
        else:
            size = draw.randint(8, 4000)
            where = f"mixes {number} (a disk of {size} KiB)"
            with small_disk(folder / "mixes", f"{size}k"):
                ended = run(call, str(folder), log=log)
                _one_line(tally, log, ended, where)
                left = [
                    path.name
                    for path in (folder / "mixes").iterdir()
                    if path.suffix != ".lock" and ended
                ]
                if left:
                    tally.mistake(f"{where}: {left} is left")
        tally.tries += 1
        _again(tally, folder, scratch / "again.log", expected or "", where)
        shutil.rmtree(folder)
    return tally.outcome()


def _one_line(tally: Tally, log: Path, ended: int | None, where: str) -> None:
    text = log.read_text()
    for found in tracebacks(text):
        tally.traceback(f"{where}: {found}")
    if ended not in (0, 2) or (ended == 2 and "Error: " not in text):
        tally.mistake(f"{where}: status {ended}, says {text[-300:]}")


CAMPAIGNS = (killed_mixes, mixes_on_full_disks)
