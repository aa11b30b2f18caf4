"""The values of a JSON array, or of values one after another, as bytes.

A parser of the whole file stops at the first wrong comma, and some write a question
mark for half of a surrogate pair. Here each value is cut out by its brackets and parsed
for itself, so that a fault costs one row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}"]', re.DOTALL)
_SPACE = b" \t\r\n"
_BETWEEN = _SPACE + b","
_READ_BYTES = 2**18


class CutOff(ValueError):
    """The file ends inside of a value, or has more after the end of its array."""


def values_of(file: IO[bytes], array: bool, longest: int) -> Iterator[bytes]:
    """The bytes of each value.

    Args:
        file: The file, at its start.
        array: Whether the values are in an array. Otherwise they are objects that
            follow one another.
        longest: The longest value in bytes.

    Raises:
        CutOff: If the file ends too early.
        OverflowError: If a value is longer.
    """
    scan = _Scan(_skip(file), array)
    block = scan.buffer
    while block:
        yield from scan.values()
        if scan.ended:
            if scan.rest().strip(_SPACE) or file.read(_READ_BYTES).strip(_SPACE):
                raise CutOff
            return
        block = file.read(_READ_BYTES)
        scan.add(block)
        if len(scan.buffer) > longest + 2 * _READ_BYTES:
            raise OverflowError
    if array or scan.depth or scan.rest().strip(_BETWEEN):
        raise CutOff


class _Scan:
    """The state of the search for values, over the blocks of a file."""

    def __init__(self, buffer: bytes, array: bool) -> None:
        self.buffer = buffer
        self.depth = 0
        """The open brackets, not counting the array's own."""
        self.ended = False
        """Whether the array has ended."""
        self._start = self._at = 1 if array else 0

    def rest(self) -> bytes:
        """The bytes after the last value."""
        return self.buffer[self._start :]

    def add(self, block: bytes) -> None:
        """Add the next block, and forget the values that were found."""
        self.buffer = self.buffer[self._start :] + block
        self._start, self._at = 0, self._at - self._start

    def values(self) -> Iterator[bytes]:
        """The values that end in the buffer."""
        for token in _TOKEN.finditer(self.buffer, self._at):
            kind = token.group()
            if kind == b'"':  # a text that the buffer does not have to its end
                self._at = token.start()
                return
            self._at = token.end()
            if kind in (b"[", b"{"):
                self.depth += 1
            elif kind in (b"]", b"}"):
                self.depth -= 1
                text = self.buffer[self._start : self._at]
                if self.depth < 0:
                    self.ended = True
                    self._start = self._at
                    yield from _scalars(text[:-1])
                    return
                if self.depth == 0:
                    self._start = self._at
                    yield from _cut(text)
        self._at = len(self.buffer)


def _skip(file: IO[bytes]) -> bytes:
    """The first block, without a byte order mark and white space."""
    buffer = file.read(_READ_BYTES).removeprefix(b"\xef\xbb\xbf")
    while not buffer.lstrip(_SPACE) and (block := file.read(_READ_BYTES)):
        buffer = block
    return buffer.lstrip(_SPACE)


def _cut(text: bytes) -> Iterator[bytes]:
    """A value in brackets, after the separator and any values without brackets."""
    text = text.strip(_BETWEEN)
    opening = min(at for at in (text.find(b"{"), text.find(b"[")) if at >= 0)
    if opening:
        yield from _scalars(text[:opening])
    yield text[opening:]


def _scalars(text: bytes) -> Iterator[bytes]:
    """Values without brackets, which are no rows."""
    text = text.strip(_BETWEEN)
    if text:
        yield from (part.strip(_SPACE) for part in text.split(b","))
