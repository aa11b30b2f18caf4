"""How long `sftguide` takes to start, as a share of `axolotl --help` in the same run.

    python benchmarks/cli_start.py [--rounds 7] [--out FILE.json]

The commands take turns; the median of each is told, and its ratio to the peer's: of the
time on the clock, and of the processor time, which a busy machine hardly changes.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import record

BIN = Path(sys.executable).parent
PEER = "axolotl --help"
RECIPES = Path(__file__).parent.parent / "recipes"
COMMANDS = (
    PEER,
    "sftguide --help",
    "sftguide runs list",
    f"sftguide check {RECIPES / '8b-stacked-qlora.yml'}",
    f"sftguide plan {RECIPES / '8b-stacked-qlora.yml'}",
)


def seconds(command: str, environment: dict[str, str]) -> tuple[float, float]:
    """Time on the clock and of the processor of one command, which must succeed."""
    program, *arguments = command.split()
    started, before = time.perf_counter(), processor_seconds()
    subprocess.run(
        [str(BIN / program), *arguments],
        env=environment,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started, processor_seconds() - before


def processor_seconds() -> float:
    """Of all processes that have been started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Time the commands and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "SFTGUIDE_STORAGE": f"{folder}/runs.db",
            "AXOLOTL_DO_NOT_TRACK": "1",
        }
        for command in COMMANDS:  # once unmeasured: caches are warm for all
            seconds(command, environment)
        times: dict[str, list[tuple[float, float]]] = {c: [] for c in COMMANDS}
        for _ in range(asked.rounds):
            for command in COMMANDS:
                times[command].append(seconds(command, environment))
    medians = {
        command: [statistics.median(column) for column in zip(*found, strict=True)]
        for command, found in times.items()
    }
    results = {}
    for command, (wall, processor) in medians.items():
        name = " ".join(word for word in command.split() if "/" not in word)
        results[name] = {
            "seconds": wall,
            "share_of_peer": wall / medians[PEER][0],
            "processor_seconds": processor,
            "share_of_peers_processor_time": processor / medians[PEER][1],
        }
        print(
            f"{name:<20} {wall:6.2f} s, {wall / medians[PEER][0]:.2f} of {PEER!r}; "
            f"processor {processor:6.2f} s, {processor / medians[PEER][1]:.2f}"
        )
    if asked.out:
        record(asked.out, {"peer": PEER, "commands": results})


if __name__ == "__main__":
    main()
