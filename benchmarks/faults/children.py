"""Children of a campaign: forked from a process that has imported the hosts.

To import a host takes seconds, and a campaign trains hundreds of times.
"""

import atexit
import multiprocessing
import os
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
PACKAGE = "axolotl_sftguide"
NOBODY = 65534

_PATHS = [str(HERE), str(PROJECT / "tests" / "support"), str(PROJECT)]
sys.path[:] = [*_PATHS, *(path for path in sys.path if path not in _PATHS)]
os.environ["PYTHONPATH"] = os.pathsep.join(
    [*_PATHS[::-1], os.environ.get("PYTHONPATH", "")]
).rstrip(os.pathsep)
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["trainings", "clients"])


def begin(
    function: Callable[..., None],
    *words: Any,
    log: Path,
    user: int | None = None,
    **environment: str,
) -> BaseProcess:
    """Call a function of `trainings` or `clients` in a child with its own output.

    Args:
        function: The function.
        *words: Its arguments.
        log: The file that the output is appended to.
        user: The user to become; root only.
        **environment: Variables to set.
    """
    process = _context.Process(
        target=_call, args=(function, words, str(log), user, environment)
    )
    process.start()
    return process


def _call(
    function: Callable[..., None],
    words: Sequence[Any],
    log: str,
    user: int | None,
    environment: dict[str, str],
) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.update(environment)
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    try:
        function(*words)
    finally:
        atexit._run_exitfuncs()  # as each process but those of multiprocessing


def run(function: Callable[..., None], *words: Any, log: Path, **options: Any) -> int:
    """Call a function in a child to its end, and return its exit status."""
    process = begin(function, *words, log=log, **options)
    process.join(300)
    if process.exitcode is None:
        process.kill()
        process.join()
        return -99
    return int(process.exitcode)


def send(process: BaseProcess, how: int) -> None:
    """Send a signal to a child, unless it has ended."""
    with suppress(ProcessLookupError):
        os.kill(process.pid or 0, how)


def wait_for(true: Callable[[], Any], timeout_s: float = 60.0) -> bool:
    """Wait until something is so, and return whether it came to be."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if true():
                return True
        except (OSError, sqlite3.Error):
            pass
        time.sleep(0.02)
    return False


_TRACEBACK = re.compile(
    r"^(Exception ignored in.*|Exception in thread.*)?\n?"
    r"^Traceback \(most recent call last\):\n(?:^[ ].*\n|^\n)*^(?P<error>\S.*)$",
    re.MULTILINE,
)
_FILE = re.compile(r'^\s+File "([^"]+)"', re.MULTILINE)


def tracebacks(text: str) -> list[str]:
    """The last line of each traceback that a command prints."""
    found = [match["error"] for match in _TRACEBACK.finditer(text)]
    return found or (["a traceback"] if "Traceback (most" in text else [])


def own_tracebacks(text: str, *planted: str) -> list[str]:
    """Tracebacks of a training that end in this package.

    Ctrl-C and planted errors end in a traceback of the user's own script.
    """
    found = []
    for match in _TRACEBACK.finditer(text):
        error, files = match["error"], _FILE.findall(match[0])
        unseen = match[0].startswith("Exception ")
        ours = bool(files) and f"/{PACKAGE}/" in files[-1]
        if error.startswith(("KeyboardInterrupt", *planted)):
            continue
        if ours or (unseen and f"/{PACKAGE}/" in match[0]) or "sftguide" in match[0]:
            found.append(error)
    return found
