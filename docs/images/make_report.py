"""Make report.png: the report on a sweep over three learning rates, in Chromium.

The sweep is trained for real unless its runs are in the storage already. Run it from
the project's root with `make report-picture`; it needs playwright and Chromium.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from axolotl_sftguide import RunHistory

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
STORAGE = PROJECT / "outputs/picture/report.db"
STUDY = "three-rates"
SPACE = """\
learning_rate: [1.0e-6, 1.0e-3, 1.0]
max_steps: [300]
sftguide:
  - study: three-rates
    exact_accumulation: true
    early_termination: {action: stop, comparison: {action: warn}}
    score: {data_path: recipes/quickstart/heldout.jsonl, max_new_tokens: 12}
"""

sys.path.insert(0, str(PROJECT / "tests" / "support"))


def sftguide(*words: str | Path) -> None:
    command = [sys.executable, "-m", "axolotl_sftguide", *map(str, words)]
    subprocess.run(command, cwd=PROJECT, check=True)


def train_the_sweep() -> None:
    STORAGE.parent.mkdir(parents=True, exist_ok=True)
    space = STORAGE.with_name("three-rates.yml")
    space.write_text(SPACE)
    sftguide("sweep", "recipes/quickstart-cpu.yml", space, "--storage", STORAGE)


def main() -> None:
    from browser import chromium

    if not STORAGE.exists() or not RunHistory(str(STORAGE)).runs(study=STUDY):
        train_the_sweep()
    page = STORAGE.with_name("report.html")
    sftguide("report", "--study", STUDY, "--storage", STORAGE, "-o", page)
    with chromium(viewport={"width": 1180, "height": 1380}) as tab:
        tab.goto(page.as_uri())
        tab.wait_for_selector(".uplot canvas")
        tab.wait_for_timeout(500)
        tab.screenshot(path=HERE / "report.png")


if __name__ == "__main__":
    main()
