"""Reads the trace of a run while it is written, without touching the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import TraceError
from .trace_lines import record_of
from .traces import Trace, TraceContent, run_of


class AppendedRecords:
    """The records of a trace, of which each call reads what was appended since.

    A line that is not complete yet is left for the next call. A file that was replaced
    or cut is read again from its start.

    Args:
        path: The trace; it may not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.files = 0
        """How many files of this name were read: one more after a replacement."""
        self.ends_torn = False
        """Whether the last line is not complete."""
        self._file_id: tuple[int, int] | None = None
        self._offset = 0

    def read(self) -> Iterator[dict[str, Any] | None]:
        """The new records one after the other; None for a broken line."""
        try:
            with self.path.open("rb") as file:
                found = self.path.stat()
                file_id = (found.st_dev, found.st_ino)
                if self._file_id != file_id or found.st_size < self._offset:
                    self._file_id, self._offset = file_id, 0
                    self.files += 1
                file.seek(self._offset)
                self.ends_torn = False
                for line in file:
                    if not line.endswith(b"\n"):
                        self.ends_torn = True
                        return
                    self._offset += len(line)
                    yield record_of(line)
        except OSError:  # not there yet, or moved away: what was read remains
            return


class TraceFollower:
    """A trace of which each call reads what was appended since the last one.

    A broken line is skipped, as a resumed run may go on after one.

    Args:
        path: The trace; it may not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._records = AppendedRecords(path)
        self._files = 0
        self._content: TraceContent | None = None
        self._trace: Trace | None = None

    def read(self) -> Trace | None:
        """The trace so far; None if there is nothing to read yet.

        Raises:
            TraceError: If the file is no trace, or has a newer format.
        """
        changed = self._trace is None
        for record in self._records.read():
            self._start_again_on_another_file()
            self._take(record)
            changed = True
        self._start_again_on_another_file()
        if changed and self._content is not None:
            self._trace = self._content.trace(torn=self._records.ends_torn)
        return self._trace

    def _start_again_on_another_file(self) -> None:
        if self._files != self._records.files:
            self._files = self._records.files
            self._content = self._trace = None

    def _take(self, record: dict[str, Any] | None) -> None:
        if self._content is None:
            self._content = TraceContent(self.path, run_of(self.path, record))
        elif record is not None:
            try:
                self._content.add(record)
            except TraceError:
                return  # as a line that a crash left incomplete
