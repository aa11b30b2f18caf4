"""A source's files, divided into pieces that workers read in parallel."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import MixError
from ._arrow import arrow_rows
from ._faults import first_line
from ._files import FoundFile, checksum
from ._heads import BLOCK_BYTES, layout, packed, read_head, refuse_no_table
from ._kinds import KINDS, kind_of

PIECE_BYTES = 16 * 2**20
"""Approximate size of a piece of a JSON lines file."""

_ARROW_ROWS = 16 * 1024
"""Rows in a piece of an Arrow file."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of one file that one worker reads."""

    source: int
    """Index of the source in the mix."""
    path: str
    kind: str
    """`json` (a row a line), `array`, `values`, `csv`, `parquet` or `arrow`."""
    start: int
    """First byte (JSON lines), row group (Parquet) or row (Arrow)."""
    end: int
    """One after the last; 0 means to the end of the file."""
    first_row: int
    """The number of its first row, from 1. In JSON lines, the number of its line."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of a source, as it was when the mix started."""

    source: int
    """Index of the source in the mix."""
    label: str
    """The `source` of its rows in the dataset."""
    size_bytes: int
    sha256: str
    pieces: list[Piece]
    state: tuple[int, ...] = ()
    """The inode, size and time of the last change."""

    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was read."""
        paths = {piece.path for piece in self.pieces}
        return all(_state(path) == self.state for path in paths)


def divide(file: FoundFile, source: int, label: str, ds_type: str | None) -> InputFile:
    """Read a file once: its checksum and its pieces.

    Raises:
        MixError: If the file cannot be read or its kind is unknown.
    """
    path, kind = file.path, _kind(file, ds_type)
    try:
        state = _state(path)
        rows_of_kind = kind
        if kind == "json":
            rows_of_kind = layout(path, label)
        else:
            _check_head(path, kind, label)
        lines = rows_of_kind == "json" and not packed(path)
        pieces, sha256 = _lines(path, source) if lines else ([], checksum(path))
        size = path.stat().st_size
    except OSError as error:
        raise MixError(f"{path}: cannot be read ({error.strerror})") from None
    if not lines:
        pieces = _pieces(file, rows_of_kind, source) if size else []
    return InputFile(source, label, size, sha256, pieces, state)


def whole_file(file: FoundFile, label: str, ds_type: str | None) -> list[Piece]:
    """The pieces of a file that is read from its start, without a checksum.

    Raises:
        MixError: If the file cannot be read or its kind is unknown.
    """
    kind = _kind(file, ds_type)
    if not file.path.stat().st_size:
        return []
    if kind == "json":
        kind = layout(file.path, label)
    else:
        _check_head(file.path, kind, label)
    return _pieces(file, kind, 0)


def _check_head(path: Path, kind: str, label: str) -> None:
    """Refuse a file that its first bytes show to be of another kind than its name."""
    if kind == "csv":
        read_head(path, label)
    else:
        refuse_no_table(path, label, {"parquet": b"PAR1", "arrow": b"ARROW1"}[kind])


def _kind(file: FoundFile, ds_type: str | None) -> str:
    named = {"jsonl": "json"}.get(ds_type or "", ds_type)
    kind = file.kind or named or kind_of(file.path)
    if kind is None:
        raise MixError(
            f"{file.path}: unknown kind of file; set ds_type, or use one of "
            f"{', '.join(KINDS)} (also with .gz or .zst)"
        )
    return kind


def _state(path: str | Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _lines(path: Path, source: int) -> tuple[list[Piece], str]:
    """The pieces of a JSON lines file, each ending with a line, and its checksum."""
    digest = hashlib.sha256()
    pieces: list[Piece] = []
    start, end, first, lines = 0, 0, 1, 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            if end - start >= PIECE_BYTES and not block.endswith(b"\n"):
                block += file.readline(BLOCK_BYTES)
            digest.update(block)
            end, lines = end + len(block), lines + block.count(b"\n")
            if end - start >= PIECE_BYTES and block.endswith(b"\n"):
                pieces.append(Piece(source, str(path), "json", start, end, first))
                start, first, lines = end, first + lines, 0
    if end > start:
        pieces.append(Piece(source, str(path), "json", start, end, first))
    return pieces, digest.hexdigest()


def _pieces(file: FoundFile, kind: str, source: int) -> list[Piece]:
    path = str(file.path)
    if kind == "parquet":
        return _row_groups(path, source)
    if kind == "arrow":
        end = file.end or arrow_rows(path)
        starts = range(file.start, end, _ARROW_ROWS)
        found = [
            Piece(source, path, kind, at, min(at + _ARROW_ROWS, end), number)
            for at in starts
            for number in [file.first_row + at - file.start]
        ]
        if found:
            return found
    return [Piece(source, path, kind, 0, 0, 1)]


def _row_groups(path: str, source: int) -> list[Piece]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pieces, first = [], 1
    try:
        metadata = pq.ParquetFile(path).metadata
        for group in range(metadata.num_row_groups):
            pieces.append(Piece(source, path, "parquet", group, group + 1, first))
            first += metadata.row_group(group).num_rows
    except (pa.ArrowException, ValueError, OSError) as error:  # names may not be UTF-8
        raise MixError(f"{path}: not a Parquet file ({first_line(error)})") from None
    return pieces
