"""`axolotl train` as a child process: start it, end it, read the error in its log."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from ..errors import SweepError
from ..runs.private_files import opener
from ..safe_text import masker

LOG = "axolotl.log"
"""The file inside an output folder that Axolotl's output goes to."""

POLL_S = 0.3
_GRACE_S = 20.0
_ERROR_LINE = re.compile(
    r"^(sftguide: |[\w.]*(Error|Exception|Exit)\b)|Killed|out of memory"
)

_PROGRESS_BAR = re.compile(r"\d+%\|")


def start_axolotl(
    config: Path,
    log: Path,
    *,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> psutil.Popen:
    """Start `axolotl train` in its own process session, with its output in a file.

    Ctrl-C in the terminal reaches only the caller, which then ends the child.

    Args:
        config: The config to train.
        log: The file that the output is appended to.
        arguments: More arguments for `axolotl train`.
        environment: Variables to set for the child.

    Raises:
        SweepError: If Axolotl is not installed or cannot be started.
    """
    scripts = str(Path(sys.executable).parent)
    # `axolotl train` looks for its launcher on the path.
    search = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
    axolotl = shutil.which("axolotl", path=search)
    if axolotl is None:
        raise SweepError(
            "the command `axolotl` was not found; install it with "
            "pip install 'axolotl-sftguide[axolotl]'"
        )
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab", opener=opener) as output:
        try:
            return psutil.Popen(
                [axolotl, "train", str(config), *arguments],
                env={**os.environ, **(environment or {}), "PATH": search},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise SweepError(
                f"{axolotl}: cannot be started ({error.strerror or error})"
            ) from None


def end_process(
    process: psutil.Process, in_a_hurry: Callable[[], bool] = lambda: False
) -> None:
    """End a process and its children: terminate first, kill after 20 seconds."""
    try:
        family = [*process.children(recursive=True), process]
    except psutil.Error:
        return
    for member in family:
        _signal(member.terminate)
    for _ in range(int(_GRACE_S / POLL_S)):
        _, family = psutil.wait_procs(family, timeout=POLL_S)
        if not family or in_a_hurry():
            break
    for member in family:
        _signal(member.kill)
    psutil.wait_procs(family, timeout=_GRACE_S)


def error_line(log: Path) -> str:
    """The last line of a log that names an error, or else its last line."""
    printed = log_lines(log)
    # accelerate's own traceback about the exit status comes after the error.
    errors = [
        line
        for line in printed
        if _ERROR_LINE.search(line) and "CalledProcessError" not in line
    ]
    return (errors or printed or ["no output"])[-1][:300]


def log_lines(log: Path) -> list[str]:
    """The lines of a log, without blank lines, progress bars and secrets."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    mask = masker()
    return [
        mask(line.strip())
        for line in text.splitlines()
        if line.strip() and not _PROGRESS_BAR.search(line)
    ]


def _signal(send: Any) -> None:
    with suppress(psutil.Error):
        send()
