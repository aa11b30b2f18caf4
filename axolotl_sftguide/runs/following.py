"""Reads the trace of a run while it is written, without touching the file."""

from __future__ import annotations

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
        self._file_id: tuple[int, int] | None = None
        self._offset = 0
        self._rest = b""

    @property
    def ends_torn(self) -> bool:
        """Whether the last line is not complete."""
        return bool(self._rest)

    def read(self) -> tuple[list[dict[str, Any] | None], bool]:
        """The new records, None for a broken line, and whether the file is another."""
        began = False
        try:
            with self.path.open("rb") as file:
                found = self.path.stat()
                file_id = (found.st_dev, found.st_ino)
                if self._file_id != file_id or found.st_size < self._offset:
                    self._file_id, self._offset, self._rest = file_id, 0, b""
                    began = True
                file.seek(self._offset)
                new = file.read()
        except OSError:  # not there yet, or moved away: what was read remains
            return [], False
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        return [record_of(line) for line in lines], began


class TraceFollower:
    """A trace of which each call reads what was appended since the last one.

    A broken line is skipped, as a resumed run may go on after one.

    Args:
        path: The trace; it may not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._records = AppendedRecords(path)
        self._content: TraceContent | None = None
        self._trace: Trace | None = None

    def read(self) -> Trace | None:
        """The trace so far; None if there is nothing to read yet.

        Raises:
            TraceError: If the file is no trace, or has a newer format.
        """
        records, began = self._records.read()
        if began:
            self._content = self._trace = None
        for record in records:
            self._take(record)
        if (records or self._trace is None) and self._content is not None:
            self._trace = self._content.trace(torn=self._records.ends_torn)
        return self._trace

    def _take(self, record: dict[str, Any] | None) -> None:
        if self._content is None:
            self._content = TraceContent(self.path, run_of(self.path, record))
        elif record is not None:
            try:
                self._content.add(record)
            except TraceError:
                return  # as a line that a crash left incomplete
