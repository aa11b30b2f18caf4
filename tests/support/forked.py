"""Scripts in processes that are forked from one that has imported the hosts already.

To import a host takes ten seconds of CPU time, which each rank of each test would spend
again. Nothing is trained in the process that is forked from.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import socket
import sys
import time
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

HOSTS = ["datasets", "peft", "trl.trainer.sft_trainer", "torch.distributed"]
AXOLOTL = [
    "axolotl.cli.config",
    "axolotl.common.datasets",
    "axolotl.core.builders",
    "axolotl.train",
]
"""For its own tests alone, because it patches transformers."""


class Forked:
    """Starts scripts; the first start imports the hosts.

    Of several instances only the newest works, because a process has one such server.
    """

    _newest: Forked

    def __init__(self, *more: str) -> None:
        Forked._newest = self
        forkserver._forkserver._stop()  # type: ignore[attr-defined]
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*HOSTS, *more])

    def begin(
        self, script: Path, *words: Any, log: Path, **environment: str
    ) -> ForkServerProcess:
        """Start a script in a process whose output goes to a file."""
        assert self is Forked._newest, "it would be forked from another's hosts"
        command = [str(script), *map(str, words)]
        variables = {**os.environ, **environment}
        process = self._context.Process(
            target=run, args=(command, log, os.getcwd(), variables)
        )
        process.start()
        return process

    def run(
        self,
        script: Path,
        *words: Any,
        log: Path | None = None,
        timeout_s: float = 300.0,
    ) -> str:
        """Run a script to its end, which is without an error, and return its output."""
        log = log or script.with_suffix(".log")
        process = self.begin(script, *words, log=log)
        return end([process], log, timeout_s)

    def run_ranks(
        self,
        script: Path,
        *words: Any,
        ranks: int = 2,
        log: Path | None = None,
        timeout_s: float = 300.0,
        **environment: str,
    ) -> str:
        """Run a script on some ranks, as torchrun does, and return their output.

        The first rank that fails ends the others and the test.
        """
        log = log or script.with_suffix(".log")
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = str(free.getsockname()[1])
        common = {
            "MASTER_ADDR": "localhost",
            "MASTER_PORT": port,
            "WORLD_SIZE": str(ranks),
            "LOCAL_WORLD_SIZE": str(ranks),
            **environment,
        }
        begun = [
            self.begin(script, *words, log=log, RANK=rank, LOCAL_RANK=rank, **common)
            for rank in map(str, range(ranks))
        ]
        return end(begun, log, timeout_s)


def end(processes: list[ForkServerProcess], log: Path, timeout_s: float) -> str:
    """Wait until all have ended or one has failed; kills what still runs then."""
    deadline = time.monotonic() + timeout_s
    running = processes
    while running and time.monotonic() < deadline:
        wait([process.sentinel for process in running], timeout=1.0)
        running = [process for process in running if process.exitcode is None]
        if any(process.exitcode for process in processes):
            break
    for process in running:
        process.kill()
        process.join()
    printed = log.read_text(errors="replace")
    assert {process.exitcode for process in processes} == {0}, printed[-3000:]
    return printed


def run(
    command: list[str], log: Path, folder: str, environment: dict[str, str]
) -> None:
    """In the new process: what `python SCRIPT WORDS >LOG 2>&1` does."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    sys.path.insert(0, str(Path(command[0]).resolve().parent))
    # What the script starts is started as in any other process.
    multiprocessing.set_start_method(None, force=True)
    try:
        runpy.run_path(command[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # as each process but those of multiprocessing
