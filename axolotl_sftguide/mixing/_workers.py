"""Processes that work on pieces, whatever program they are started from.

`multiprocessing` would import the caller's own script anew, or fork a process that has
loaded torch. These workers load this package alone, and end when their pipe does.
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
from typing import IO, Any, TypeVar

from ..errors import MixError

T = TypeVar("T")

_LOOP = "from axolotl_sftguide.mixing._workers import serve; serve()"


class Workers:
    """Some processes; with one, this process does the work itself.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all:
            process.kill()
            with suppress(OSError, ValueError):
                process.communicate()

    def map(
        self, function: Callable[..., T], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[T]:
        """Results in the order of the tasks; a few are worked on ahead."""
        if self._count <= 1 or len(tasks) <= 1:
            yield from (function(*task) for task in tasks)
            return
        with ThreadPoolExecutor(self._count) as threads:
            ahead = 2 * self._count
            pending = [threads.submit(self._ask, function, t) for t in tasks[:ahead]]
            try:
                for i in range(len(tasks)):
                    yield pending[i].result()
                    pending[i] = None  # type: ignore[call-overload]
                    if i + ahead < len(tasks):
                        task = tasks[i + ahead]
                        pending.append(threads.submit(self._ask, function, task))
            finally:
                for future in pending:
                    if future is not None:
                        future.cancel()

    def _ask(self, function: Callable[..., T], task: tuple[Any, ...]) -> T:
        process = self._take()
        try:
            _send(process.stdin, (function, task))
            done, result = _receive(process.stdout)
        except (OSError, EOFError):
            raise MixError(
                "a worker was killed in the middle of its work (out of memory?); try "
                "fewer --workers"
            ) from None
        self._idle.put(process)
        if not done:
            raise result
        return result  # type: ignore[no-any-return]

    def _take(self) -> subprocess.Popen[bytes]:
        with suppress(queue.Empty):
            return self._idle.get_nowait()
        process = subprocess.Popen(
            [sys.executable, "-c", _LOOP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with self._lock:
            self._all.append(process)
        return process


def serve() -> None:
    """A worker's life: take a task, send its result, until nobody asks."""
    # Rows make no cycles, and looking for some takes a seventh of the time.
    gc.disable()
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while True:
        try:
            function, task = _receive(asked)
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
