"""Make watch.svg: `sftguide runs watch` on the last trial of a sweep that trains.

The sweep is trained for real; the trials before it are behind its curves. A sweep that
was interrupted goes on. Run it from the project's root with `make watch-picture`; it
needs pyte.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from axolotl_sftguide import RunHistory

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
STORAGE = PROJECT / "outputs/picture/watch.db"
STUDY = "watched"
SPACE = """\
learning_rate: [2.0e-4, 1.0e-3, 1.0]
max_steps: [160]
sftguide:
  - study: watched
    exact_accumulation: true
    early_termination: {action: warn}
    score: {data_path: recipes/quickstart/heldout.jsonl, max_new_tokens: 12}
"""
COLUMNS, LINES = 88, 28
EARLIER = 2
FROM_STEP = 100

sys.path.insert(0, str(PROJECT / "tests" / "support"))


def begin_the_sweep() -> subprocess.Popen[bytes]:
    STORAGE.parent.mkdir(parents=True, exist_ok=True)
    space = STORAGE.with_name("watched.yml")
    space.write_text(SPACE)
    words = ["sweep", "recipes/quickstart-cpu.yml", str(space)]
    places = ["--storage", str(STORAGE), "--output-dir", "outputs/picture/watch"]
    command = [sys.executable, "-m", "axolotl_sftguide", *words, *places]
    return subprocess.Popen(command, cwd=PROJECT)


def picture() -> str:
    """The screen when the last trial is well under way."""
    from terminal import Terminal

    os.environ["SFTGUIDE_STORAGE"] = str(STORAGE)
    while True:  # each call watches one trial, until it ends
        terminal = Terminal(
            "runs", "watch", "--study", STUDY, columns=COLUMNS, lines=LINES
        )
        while terminal.read(900):
            if "Ctrl-C" in terminal.text and is_under_way():
                while terminal.read(0.3):  # to the end of what it draws
                    pass
                shown = terminal.picture()
                terminal.kill()
                return svg_of(shown)
        terminal.kill()


def is_under_way() -> bool:
    runs = RunHistory(str(STORAGE)).runs(study=STUDY)
    return len(runs) > EARLIER and runs[-1].step >= FROM_STEP


def svg_of(shown: Text) -> str:
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True
    )
    console.print(shown, end="")
    return console.export_svg(title="sftguide runs watch")


def main() -> None:
    sweep = begin_the_sweep()
    try:
        while not STORAGE.exists():
            time.sleep(1)
        (HERE / "watch.svg").write_text(picture())
    finally:
        sweep.terminate()
        sweep.wait()


if __name__ == "__main__":
    main()
