"""Campaign: users who may not write, or not even read, what a command needs."""

import os
import random
from pathlib import Path

import clients
from children import NOBODY, run
from outcome import Outcome
from tally import Tally


def unprivileged(scratch: Path, seed: int, share: float) -> Outcome:
    """As a user who may not write, or not even read, what a command needs."""
    tally = Tally("folders and files that may not be written or read, as nobody")
    if os.geteuid() != 0:
        return tally.skipped("needs root, to be nobody")
    scratch.chmod(0o755)
    for place in clients.PLACES:
        draw = random.Random(f"{seed} {place}")
        count = max(1, round(len(clients.COMMANDS) * min(1.0, share)))
        for command in draw.sample(clients.COMMANDS, count):
            folder = scratch / f"{place}-{command}"
            _one_client(tally, folder, place, command, f"nobody, {place}, {command}")
    return tally.outcome()


def _one_client(
    tally: Tally, folder: Path, place: str, command: str, where: str
) -> None:
    clients.prepare(folder, place)
    before = _content_of(folder)
    log = folder / "log"
    log.touch()
    log.chmod(0o666)
    tally.tries += 1
    ended = run(clients.call, str(folder), command, log=log, user=NOBODY)
    text = log.read_text()
    if command == "train" and place == "outputs closed":
        return  # the trainer itself refuses to write there
    if "Traceback" in text or "internal error" in text:
        tally.traceback(f"{where}: {text.strip().splitlines()[-1]}")
    elif ended not in (0, 2):
        tally.mistake(f"{where}: exit status {ended}: {text}")
    elif ended == 2 and "Error: " not in text:
        tally.mistake(f"{where}: says {text}")
    after = _content_of(folder)
    for path in before.keys() - after.keys():
        tally.loss(f"{where}: {path} is gone")
    if command == "train" and ended:
        tally.mistake(f"{where}: training was harmed: {text}")


def _content_of(folder: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".db", ".jsonl", ".yml")
    }


CAMPAIGNS = (unprivileged,)
