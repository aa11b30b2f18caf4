"""Writes to the run history in a separate thread, so that training never waits."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable

from ..errors import SFTGuideError
from .history import RunHistory

Write = Callable[[RunHistory], object]

HEARTBEAT_S = 60.0
"""Seconds between heartbeats of a run that logs nothing."""

FIRST_PAUSE_S = 30.0
"""The wait after a failed write; it doubles with every further failure."""

LONGEST_PAUSE_S = 600.0

MOST_KEPT = 100_000
"""Writes that are kept while the history fails; then the oldest are dropped."""


class HistoryWriter:
    """A queue of writes that a thread executes in order.

    After an error and a pause, `catch_up` writes everything that is missing. Without
    it, the writes since the error are kept and carried out then. Every write must be
    idempotent.

    Args:
        history: The history to write to; None if it could not be opened.
        heartbeat: The write for a time without other writes.
        catch_up: Writes everything recorded so far; None if that is not possible.
        begin: Makes the history ready for kept writes, if it was replaced.
        on_fault: Called once, from the thread, with the first error.
        reopen: Opens the history where it is None, and again after an error.
    """

    def __init__(
        self,
        history: RunHistory | None,
        *,
        heartbeat: Write,
        catch_up: Write | None,
        begin: Write | None = None,
        on_fault: Callable[[SFTGuideError], None],
        reopen: Callable[[], RunHistory] | None = None,
    ) -> None:
        self._history = history
        self._heartbeat = heartbeat
        self._catch_up = catch_up
        self._begin = begin
        self._kept: deque[Write] = deque(maxlen=MOST_KEPT)
        self._on_fault = on_fault
        self._reopen = reopen
        self._reported = False
        self._finished = 0
        self._missed = False
        self._pause_s = FIRST_PAUSE_S
        self._retry_at = 0.0
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name="sftguide-history", daemon=True
        )
        self._thread.start()

    def put(self, write: Write) -> None:
        """Queue a write; returns immediately."""
        self._queue.put(write)

    def finish(self, timeout_s: float, patience_s: float = math.inf) -> bool:
        """Wait for the remaining writes; whether all succeeded.

        Args:
            timeout_s: How long to wait at most.
            patience_s: How long to wait for a single write, as on a locked file.
        """
        self._queue.put(None)
        deadline = time.monotonic() + timeout_s
        done = -1
        while self._thread.is_alive() and done < self._finished:
            done = self._finished
            self._thread.join(min(patience_s, max(0.0, deadline - time.monotonic())))
        return not self._thread.is_alive() and not self._missed

    def _run(self) -> None:
        while (write := self._next()) is not None:
            if not self._missed:
                self._try(write)
                continue
            self._keep(write)
            if time.monotonic() >= self._retry_at:
                self._recover()
        if self._missed:
            self._recover()
        self._close()

    def _next(self) -> Write | None:
        try:
            return self._queue.get(timeout=HEARTBEAT_S)
        except queue.Empty:
            return self._heartbeat

    def _keep(self, write: Write) -> None:
        if self._catch_up is None:
            self._kept.append(write)

    def _recover(self) -> None:
        self._missed = False
        if self._catch_up is not None:
            self._try(self._catch_up)
            return
        if self._begin is not None and self._kept:
            self._try(self._begin, kept=False)
        while self._kept and not self._missed:
            write = self._kept.popleft()
            self._try(write, kept=False)
            if self._missed:
                self._kept.appendleft(write)

    def _try(self, write: Write, *, kept: bool = True) -> None:
        try:
            if self._history is None and self._reopen is not None:
                self._history = self._reopen()
            write(self._history)  # type: ignore[arg-type]
            return
        except SFTGuideError as error:
            fault = error
        except Exception as error:  # an internal error must not end the thread silently
            fault = SFTGuideError(f"run history: {error!r}")
        finally:
            self._finished += 1
        self._close()
        self._missed = True
        if kept:
            self._keep(write)
        self._retry_at = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        if not self._reported:
            self._reported = True
            self._on_fault(fault)

    def _close(self) -> None:
        if self._history is not None and self._reopen is not None:
            self._history.close()
            self._history = None
