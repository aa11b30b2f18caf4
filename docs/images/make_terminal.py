"""Make terminal.svg: the check of a config and a sweep, as a terminal shows them.

The sweep is trained for real unless its runs are in the storage already. Run it from
the project's root with `make picture`.
"""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from axolotl_sftguide import RunHistory

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
STORAGE = "outputs/picture/runs.db"
STUDY = "quickstart-lr"
COLUMNS = 88


def train_the_sweep() -> None:
    space = f"recipes/sweeps/{STUDY}.yml"
    words = ["sweep", "recipes/quickstart-cpu.yml", space, "--storage", STORAGE]
    subprocess.run(["sftguide", *words], cwd=PROJECT, check=True)


def on_a_terminal(command: str, folder: Path) -> str:
    """What a command prints on a terminal, with its colours."""
    shown: list[bytes] = []

    def read(descriptor: int) -> bytes:
        shown.append(os.read(descriptor, 4096))
        return shown[-1]

    os.chdir(folder)
    quiet = os.open(os.devnull, os.O_WRONLY)
    stdout = os.dup(1)
    os.dup2(quiet, 1)
    try:
        pty.spawn(["sh", "-c", f"stty cols {COLUMNS}; exec {command}"], read)
    finally:
        os.dup2(stdout, 1)
    return b"".join(shown).decode().replace("\r\n", "\n")


def main() -> None:
    os.environ.pop("COLUMNS", None)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["SFTGUIDE_STORAGE"] = STORAGE  # relative: no path of a machine is shown
    history = PROJECT / STORAGE
    if not history.exists() or not RunHistory(str(history)).runs(study=STUDY):
        train_the_sweep()
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True
    )
    commands = [("sftguide check mine.yml", HERE)]
    commands.append((f"sftguide runs list --study {STUDY}", PROJECT))
    for command, folder in commands:
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(on_a_terminal(command, folder)))
    (HERE / "terminal.svg").write_text(console.export_svg(title="sftguide"))


if __name__ == "__main__":
    main()
