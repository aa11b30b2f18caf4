"""Fetch the public training logs that `curves.py` judges, in its form.

    python benchmarks/curve_logs.py LOGS.json [--from https://github.com/{}.git]
    make curves LOGS=LOGS.json

`curve_logs.csv` names each log by repository, commit and path, and labels it from its
curve alone. Only that file of each commit is fetched with `git`. Nothing of the
repositories is part of this package; most state no licence for their logs.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LIST = HERE / "curve_logs.csv"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("--from", dest="origin", default="https://github.com/{}.git")
    options = parser.parse_args()
    logs, missing = [], 0
    for entry in entries():
        where = f"{entry['repository']}@{entry['commit'][:8]}"
        try:
            state = fetched(entry, options.origin.format(entry["repository"]))
        except (subprocess.CalledProcessError, ValueError) as error:
            missing += 1
            print(f"{where}: left out ({_why(error)})", file=sys.stderr)
            continue
        logs.append(log_of(entry, state))
        print(f"{where}: {len(logs[-1]['points'])} logs")
    options.target.write_text(json.dumps(logs) + "\n")
    print(f"{options.target}: {len(logs)} curves, {missing} left out")
    return 1 if missing else 0


def entries() -> list[dict[str, str]]:
    """The rows of `curve_logs.csv`."""
    with LIST.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def fetched(entry: dict[str, str], origin: str) -> dict[str, Any]:
    """The trainer state of a row, without the rest of its repository."""
    with tempfile.TemporaryDirectory() as folder:

        def git(*words: str) -> bytes:
            command = ["git", "-C", folder, *words]
            return subprocess.run(command, check=True, capture_output=True).stdout

        git("init", "--quiet")
        git("remote", "add", "origin", origin)
        quick = ("--quiet", "--depth", "1", "--filter=blob:none")
        git("fetch", *quick, "origin", entry["commit"])
        text = git("show", f"{entry['commit']}:{entry['path']}")
    # transformers writes NaN as such, which `json` reads.
    state: dict[str, Any] = json.loads(text)
    return state


def log_of(entry: dict[str, str], state: dict[str, Any]) -> dict[str, Any]:
    """The log as `curves.py` reads it."""
    points = [
        [log["step"], *(_number(log.get(key)) for key in KEYS)]
        for log in state["log_history"]
        if "loss" in log
    ]
    return {"id": entry["id"], "label": entry["label"], "points": points}


KEYS = ("loss", "grad_norm", "learning_rate")


def _number(value: Any) -> float | None:
    """Five digits of a number; None for what is no number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return float(f"{number:.5g}") if math.isfinite(number) else number


def _why(error: Exception) -> str:
    output = getattr(error, "stderr", None)
    lines = (output.decode(errors="replace") if output else str(error)).splitlines()
    return lines[-1] if lines else type(error).__name__


if __name__ == "__main__":
    raise SystemExit(main())
