"""The last pass: the lines of the pieces, copied into the order of the plan."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MixError
from ._plan import Indices
from ._read import BLOCK_BYTES
from ._spool import Spooled
from ._workers import Workers

_ROWS_A_TASK = 8192
_ROWS_AT_ONCE = 256


class Lines:
    """Where the line of each row lies.

    Args:
        pieces: The pieces, in the order in which their rows are counted.
    """

    def __init__(self, pieces: Sequence[Spooled]) -> None:
        self.paths = [piece.path for piece in pieces]
        counts = [len(piece.ends) for piece in pieces]
        self._piece = np.repeat(np.arange(len(pieces), dtype=np.uint32), counts)
        self._end = np.concatenate([p.ends for p in pieces] or [np.empty(0, np.int64)])
        starts = [np.concatenate([[0], p.ends[:-1]]) for p in pieces if len(p.ends)]
        self._length = (
            self._end - np.concatenate(starts or [np.empty(0, np.int64)])
        ).astype(np.uint32)

    def lengths(self, rows: Indices) -> Any:
        """Bytes of each of these rows' lines."""
        return self._length[rows]

    def places(self, rows: Indices) -> tuple[Any, Any, Any]:
        """Piece, first byte and length of each of these rows' lines."""
        lengths = self._length[rows]
        return self._piece[rows], self._end[rows] - lengths, lengths


def write(
    path: Path,
    lines: Lines,
    rows: Indices,
    workers: Workers,
    on_rows: Callable[[int], None],
) -> str:
    """Write these rows' lines, several workers at once; the file's checksum.

    Args:
        path: The file, which must not be there.
        lines: Where they are.
        rows: Which, in order.
        workers: Who copies.
        on_rows: Told how many more rows are written.
    """
    digest = hashlib.sha256()
    path.touch()
    # Unbuffered: what is read ahead of the last whole task is not written yet.
    with path.open("rb", buffering=0) as written:
        for count, size in workers.map(copy, _Tasks(path, lines, rows)):
            while size:
                block = written.read(min(size, BLOCK_BYTES))
                if not block:
                    raise MixError(f"{path}: was cut off while it was written")
                digest.update(block)
                size -= len(block)
            on_rows(count)
    return digest.hexdigest()


class _Tasks(Sequence[Any]):
    """The parts of the file, each made when its turn comes."""

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
        pieces, starts, lengths = self._lines.places(rows)
        names = {int(p): self._lines.paths[int(p)] for p in np.unique(pieces)}
        return self._path, self._offsets[index], names, pieces, starts, lengths


def copy(
    path: str,
    offset: int,
    names: dict[int, str],
    pieces: Any,
    starts: Any,
    lengths: Any,
) -> tuple[int, int]:
    """Copy some lines to one place of the file; how many, and how many bytes."""
    opened = {piece: os.open(name, os.O_RDONLY) for piece, name in names.items()}
    out = os.open(path, os.O_WRONLY)
    places = zip(pieces.tolist(), starts.tolist(), lengths.tolist(), strict=True)
    end = offset
    try:
        while part := list(itertools.islice(places, _ROWS_AT_ONCE)):
            block = b"".join([os.pread(opened[p], n, at) for p, at, n in part])
            rest = memoryview(block)
            while rest:
                written = os.pwrite(out, rest, end)
                rest, end = rest[written:], end + written
    finally:
        for descriptor in (out, *opened.values()):
            os.close(descriptor)
    return len(pieces), end - offset
