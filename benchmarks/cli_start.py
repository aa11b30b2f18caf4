"""How long `sftguide` takes to start, as a share of `axolotl --help` in the same run.

    python benchmarks/cli_start.py [--rounds 7]

The commands take turns; the median of each is told, and its ratio to the peer's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def seconds(command: str, environment: dict[str, str]) -> float:
    """Wall time of one command, which must succeed."""
    program, *arguments = command.split()
    started = time.perf_counter()
    subprocess.run(
        [str(BIN / program), *arguments],
        env=environment,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


def main() -> None:
    """Time the commands and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "SFTGUIDE_STORAGE": f"{folder}/runs.db",
            "AXOLOTL_DO_NOT_TRACK": "1",
        }
        for command in COMMANDS:  # once unmeasured: caches are warm for all
            seconds(command, environment)
        times: dict[str, list[float]] = {command: [] for command in COMMANDS}
        for _ in range(rounds):
            for command in COMMANDS:
                times[command].append(seconds(command, environment))
    peer = statistics.median(times[PEER])
    for command, found in times.items():
        middle = statistics.median(found)
        print(
            f"{' '.join(command.split()[:2]):<20} median {middle:6.2f} s  "
            f"({min(found):.2f} to {max(found):.2f})  {middle / peer:.2f} of {PEER!r}"
        )


if __name__ == "__main__":
    main()
