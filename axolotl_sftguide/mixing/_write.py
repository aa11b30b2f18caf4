"""Last pass: the lines of the pieces, copied in the order of the plan."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MixError
from ._columns import Indices
from ._heads import BLOCK_BYTES
from ._spool import Spooled
from ._workers import Workers

_ROWS_A_TASK = 8192
_ROWS_AT_ONCE = 256


class Lines:
    """The place of each row's line in the temporary files.

    Args:
        pieces: The pieces, in the order of their rows.
    """

    def __init__(self, pieces: Sequence[Spooled]) -> None:
        self.paths = sorted({piece.path for piece in pieces})
        files = np.array([self.paths.index(piece.path) for piece in pieces], np.uint16)
        self._file = np.repeat(files, [len(piece.ends) for piece in pieces])
        self._end = np.concatenate([piece.ends for piece in pieces])
        self._length = np.concatenate(
            [
                np.diff(piece.ends, prepend=piece.start).astype(np.uint32)
                for piece in pieces
            ]
        )

    def lengths(self, rows: Indices) -> Any:
        """The length in bytes of each of these rows' lines."""
        return self._length[rows]

    def read(self, rows: Indices) -> bytes:
        """The bytes of these rows' lines."""
        files, starts, lengths = self.places(rows)
        return b"".join(_blocks(self.paths, files, starts, lengths))

    def places(self, rows: Indices) -> tuple[Any, Any, Any]:
        """The file, first byte and length of each of these rows' lines."""
        lengths = self._length[rows]
        return self._file[rows], self._end[rows] - lengths, lengths


def write(
    path: Path,
    lines: Lines,
    rows: Indices,
    workers: Workers,
    on_rows: Callable[[int], None],
) -> str:
    """Write these rows' lines with several workers, and return the file's SHA-256.

    Args:
        path: The file, which must not exist.
        lines: The places of all lines.
        rows: The rows to write, in order.
        workers: The workers that copy.
        on_rows: Called with the number of rows that were written since the last call.
    """
    digest = hashlib.sha256()
    path.touch()
    # Unbuffered, as bytes after the last finished task are not written yet.
    with path.open("rb", buffering=0) as written:
        for count, size in workers.map(copy, _Tasks(path, lines, rows)):
            while size:
                block = written.read(min(size, BLOCK_BYTES))
                if not block:
                    raise MixError(f"{path}: truncated by another process")
                digest.update(block)
                size -= len(block)
            on_rows(count)
    release()
    return digest.hexdigest()


class _Tasks(Sequence[Any]):
    """The parts of the file, each created when it is needed."""

    def __init__(self, path: Path, lines: Lines, rows: Indices) -> None:
        self._path, self._lines, self._rows = str(path), lines, rows
        firsts = range(0, len(rows), _ROWS_A_TASK)
        sizes = [
            int(lines.lengths(rows[i : i + _ROWS_A_TASK]).sum(dtype=np.int64))
            for i in firsts
        ]
        self._offsets: list[int] = np.cumsum([0, *sizes[:-1]]).tolist() if sizes else []

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        first = index * _ROWS_A_TASK
        rows = self._rows[first : first + _ROWS_A_TASK]
        places = self._lines.places(rows)
        return self._path, self._offsets[index], self._lines.paths, *places


def copy(
    path: str,
    offset: int,
    paths: Sequence[str],
    files: Any,
    starts: Any,
    lengths: Any,
) -> tuple[int, int]:
    """Copy lines to one place of the file. Returns the number of lines and of bytes."""
    out = os.open(path, os.O_WRONLY)
    end = offset
    try:
        for block in _blocks(paths, files, starts, lengths):
            rest = memoryview(block)
            while rest:
                written = os.pwrite(out, rest, end)
                rest, end = rest[written:], end + written
    finally:
        os.close(out)
    return len(files), end - offset


def _blocks(
    paths: Sequence[str], files: Any, starts: Any, lengths: Any
) -> Iterator[bytes]:
    """The bytes of lines, a few at a time."""
    # Not a memory map: a page fault for each line costs five times a call of pread.
    opened, pread = [_opened(name) for name in paths], os.pread
    places = zip(files.tolist(), lengths.tolist(), starts.tolist(), strict=True)
    while part := list(itertools.islice(places, _ROWS_AT_ONCE)):
        block = b"".join([pread(opened[f], size, at) for f, size, at in part])
        if len(block) != sum([size for _, size, _ in part]):
            raise MixError("temporary files: truncated by another process")
        yield block


def release() -> None:
    """Close the temporary files: an open one would keep its space on the disk."""
    _opened.cache_clear()


class _Opened(int):
    """The descriptor of an open file, which is closed with it."""

    def __del__(self) -> None:
        os.close(self)


@lru_cache(maxsize=256)
def _opened(path: str) -> int:
    return _Opened(os.open(path, os.O_RDONLY))
