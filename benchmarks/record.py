"""How a benchmark writes its results: with the command, the date and the machine."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("axolotl", "transformers", "trl", "torch")


def about() -> dict[str, Any]:
    """Where, when and how results are made."""
    return {
        "command": command(),
        "date": date.today().isoformat(),
        "machine": machine(),
        "versions": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def command() -> str:
    """The command line of this process; of folders elsewhere, the name alone."""
    root = Path(__file__).resolve().parent.parent
    script, *words = (_shown(word, root) for word in sys.argv)
    return shlex.join(["python", script, *words])


def _shown(word: str, root: Path) -> str:
    path = Path(word)
    if not path.is_absolute() and not path.exists():
        return word
    inside = path.resolve().is_relative_to(root)
    return str(path.resolve().relative_to(root)) if inside else path.name


def machine() -> str:
    """The processor, its cores and how busy they are."""
    model = platform.processor() or platform.machine()
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    load = os.getloadavg()[0]
    return (
        f"{model}, {cores} cores, load {load:.1f}, Python {platform.python_version()}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def record(path: Path, results: Mapping[str, Any], keep: bool = False) -> None:
    """Write results as JSON.

    Args:
        path: The file; its folder is made.
        results: What was measured. Values that only repeat others are left out.
        keep: Keep keys of an existing file that are not among the results.
    """
    kept = json.loads(path.read_text()) if keep and path.exists() else {}
    whole = {**kept, "about": about(), **results}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")
