"""Reads the trace of a run while it is written, without touching the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.json_text import parse_json
from ..errors import TraceError
from .traces import Trace, TraceContent, run_of


class TraceFollower:
    """A trace of which each call reads what was appended since the last one.

    A line that is not complete yet is left for the next call. A file that was replaced
    or cut is read again from its start. A broken line is skipped, as a resumed run may
    go on after one.

    Args:
        path: The trace; it may not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._content: TraceContent | None = None
        self._trace: Trace | None = None
        self._start_again()

    def read(self) -> Trace | None:
        """The trace so far; None if there is nothing to read yet.

        Raises:
            TraceError: If the file is no trace, or has a newer format.
        """
        if self._read_lines() or self._trace is None:
            torn = bool(self._rest)
            self._trace = self._content.trace(torn=torn) if self._content else None
        return self._trace

    def _start_again(self) -> None:
        self._file_id: tuple[int, int] | None = None
        self._offset = 0
        self._rest = b""
        self._content = self._trace = None

    def _read_lines(self) -> bool:
        """Read the new complete lines, and return whether there were any."""
        try:
            with self.path.open("rb") as file:
                found = self.path.stat()
                file_id = (found.st_dev, found.st_ino)
                if self._file_id != file_id or found.st_size < self._offset:
                    self._start_again()
                    self._file_id = file_id
                file.seek(self._offset)
                new = file.read()
        except OSError:  # not there yet, or moved away: what was read remains
            return False
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._take(_record(line))
        return bool(lines)

    def _take(self, record: dict[str, Any] | None) -> None:
        if self._content is None:
            self._content = TraceContent(self.path, run_of(self.path, record))
        elif record is not None:
            try:
                self._content.add(record)
            except TraceError:
                return  # as a line that a crash left incomplete


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = parse_json(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
