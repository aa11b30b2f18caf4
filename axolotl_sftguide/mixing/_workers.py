"""Processes that share the work, independent of the program that starts them.

Workers must not import from the user's working folder, which may contain an
`orjson.py` or a `logging.py`. `multiprocessing` imports the caller's script again or
forks a process that has loaded torch. loky starts workers by `python -m`, which imports
loky and the standard library with the working folder first on the path. A worker here
removes that folder from its path before its first import. `-P` would need Python 3.11,
and `-I` would ignore PYTHONPATH. A worker ends when its pipe is closed.
"""

from __future__ import annotations

import gc
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from ..errors import MixError

T = TypeVar("T")

_PACKAGE = "axolotl_sftguide"
_LOOP = f"""
import sys
sys.path[:] = [path for path in sys.path if path]  # without the working folder
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("{_PACKAGE}", sys.argv[1])
sys.modules[spec.name] = module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
from {_PACKAGE}.mixing._workers import serve
serve()
"""
_INIT = str(Path(__file__).parents[1] / "__init__.py")
"""A worker loads the very package of its parent, wherever that is installed."""


class Workers:
    """A pool of processes; with a count of one, this process does the work.

    Args:
        count: The number of processes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        for process in self._all:
            with suppress(OSError, ValueError):
                process.communicate()

    def _kill(self) -> None:
        for process in self._all:
            process.kill()

    def map(
        self, function: Callable[..., T], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[T]:
        """Results in the order of the tasks; a few tasks are started ahead."""
        if self._count <= 1 or len(tasks) <= 1:
            yield from (function(*task) for task in tasks)
            return
        with ThreadPoolExecutor(self._count) as threads:
            ahead = 2 * self._count
            pending = [threads.submit(self._run, function, t) for t in tasks[:ahead]]
            try:
                for i in range(len(tasks)):
                    yield pending[i].result()
                    pending[i] = None  # type: ignore[call-overload]
                    if i + ahead < len(tasks):
                        task = tasks[i + ahead]
                        pending.append(threads.submit(self._run, function, task))
            except KeyboardInterrupt:
                self._kill()  # else the threads wait for the end of their tasks
                raise
            finally:
                for future in pending:
                    if future is not None:
                        future.cancel()

    def _run(self, function: Callable[..., T], task: tuple[Any, ...]) -> T:
        process = self._take()
        try:
            _send(process.stdin, (function, task))
            done, result = _receive(process.stdout)
        except (OSError, EOFError):
            raise MixError(
                "A worker process was killed, perhaps for lack of memory. Set a lower "
                "--workers."
            ) from None
        self._idle.put(process)
        if not done:
            raise result
        return result  # type: ignore[no-any-return]

    def _take(self) -> subprocess.Popen[bytes]:
        with suppress(queue.Empty):
            return self._idle.get_nowait()
        process = subprocess.Popen(
            [sys.executable, "-c", _LOOP, _INIT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which ends them
        )
        with self._lock:
            self._all.append(process)
        return process


def serve() -> None:
    """The loop of a worker: receive a task, send its result, until the pipe closes."""
    # Rows contain no cycles, and the search for cycles takes a seventh of the time.
    gc.disable()
    tasks, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while True:
        try:
            function, task = _receive(tasks)
        except EOFError:
            return
        try:
            answer: tuple[bool, Any] = (True, function(*task))
        except Exception as error:
            answer = (False, error)
        _send(answers, answer)


def _send(pipe: IO[bytes] | None, value: Any) -> None:
    assert pipe is not None
    pickle.dump(value, pipe, protocol=5)
    pipe.flush()


def _receive(pipe: IO[bytes] | None) -> Any:
    assert pipe is not None
    return pickle.load(pipe)
