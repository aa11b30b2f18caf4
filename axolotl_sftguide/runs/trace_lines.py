"""The lines of a trace as records, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from ..config.json_text import parse_json
from ..errors import TraceError


class TraceLines:
    """The records of one trace; a broken line at its end is left out.

    Lines are read as they are asked for: a trace may be larger than the memory.

    Args:
        path: The trace.
        appended: Events that are appended to the trace of a run that has ended, also
            after a line that was cut off.
        content: What the file holds, if it is not read from there.

    Raises:
        TraceError: If the file cannot be read. Iterating raises it for a broken line
            before the last.
    """

    def __init__(
        self, path: Path, appended: tuple[str, ...], content: BinaryIO | None = None
    ) -> None:
        self.path = path
        self.torn = False
        """Whether the last line is cut off."""
        self._appended = appended
        self._ahead: deque[bytes] = deque()
        self._number = 0
        try:
            self._file = content or path.open("rb")
        except OSError as error:
            raise self._unreadable(error) from None

    def __enter__(self) -> TraceLines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def first(self) -> dict[str, Any] | None:
        """The first record; None if that line is broken.

        Raises:
            TraceError: If there is no line.
        """
        line = self._next()
        if line is None:
            raise TraceError(f"{self.path}: is empty, so it is not a trace")
        return self._record(line)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (line := self._next()) is not None:
            record = self._record(line)
            if record is not None:
                yield record

    def _record(self, line: bytes) -> dict[str, Any] | None:
        record = record_of(line)
        if record is not None:
            return record
        # A broken line is skipped only where an interrupted write can leave one: at
        # the end, or before an event that was appended later on a line of its own.
        after = self._peek(0)
        if after is None:
            self.torn = True
            return None
        following = record_of(after)
        if following is None and self._peek(1) is None:
            return None
        if following is not None and following.get("event") in self._appended:
            return None
        raise TraceError(
            f"{self.path}: line {self._number} is not a JSON object. "
            "Repair or remove that line"
        )

    def _next(self) -> bytes | None:
        line = self._ahead.popleft() if self._ahead else self._read()
        self._number += 1
        return line or None

    def _peek(self, position: int) -> bytes | None:
        """The line after the next `position` ones; None after the last line."""
        while len(self._ahead) <= position:
            line = self._read()
            if not line:
                return None
            self._ahead.append(line)
        return self._ahead[position]

    def _read(self) -> bytes:
        try:
            return self._file.readline()
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> TraceError:
        return TraceError(f"{self.path}: cannot be read ({error.strerror})")


def record_of(line: bytes) -> dict[str, Any] | None:
    """The record that a line holds; None if it is broken."""
    try:
        record = parse_json(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
