"""Runs a process, and measures its time and memory."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent.parent


def measured(
    words: list[str], env: dict[str, str] | None = None, *, out: Path | None = None
) -> dict[str, Any]:
    """Wall seconds, CPU seconds and MiB of a Python process that has to succeed.

    Args:
        words: The arguments for Python.
        env: More variables of its environment.
        out: The file for its output; it is dropped otherwise.
    """
    path = os.pathsep.join(
        [str(PROJECT), str(PROJECT / "benchmarks"), str(PROJECT / "tests" / "support")]
    )
    whole = {**os.environ, "PYTHONPATH": path, **(env or {})}
    began = time.perf_counter()
    with open(out or os.devnull, "wb") as sink:
        process = subprocess.Popen(
            [sys.executable, *words], env=whole, stdout=sink, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        said = process.stderr.read().decode(errors="replace")
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)[:200]}: {said[-2000:]}")
    return {
        "wall_s": round(time.perf_counter() - began, 3),
        "cpu_s": round(used.ru_utime + used.ru_stime, 3),
        "mib": round(used.ru_maxrss / 1024),
    }
