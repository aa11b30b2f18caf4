"""The rows of a piece, from any kind of file."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from typing import IO, Any, TypeAlias

import orjson

from ._arrow import arrow_batches
from ._faults import RowFault, first_line
from ._files import BLOCK_BYTES, starts_array
from ._pieces import Piece

MAX_ROW_BYTES = 16 * 2**20
"""A longer row does not fit into training on a 24 GB card."""

_BATCH_ROWS = 1024
"""Rows of a table in memory at a time; a batch of the file may contain all rows."""

NumberedRows: TypeAlias = Iterator[tuple[int, "dict[str, Any] | RowFault"]]


def rows_of(piece: Piece) -> NumberedRows:
    """The rows of a piece with their numbers; a faulty row is replaced by its fault.

    A file that is damaged has a fault with the number 0.
    """
    try:
        if piece.kind == "json":
            yield from _json_rows(piece)
        elif piece.kind == "csv":
            yield from _csv_rows(piece.path)
        else:
            yield from _table_rows(piece)
    except Exception as error:  # each kind of file raises its own exceptions
        yield 0, RowFault("file-breaks-off", first_line(error))


def _json_rows(piece: Piece) -> NumberedRows:
    with _opened(piece.path) as file:
        if piece.end:
            file.seek(piece.start)
            yield from _lines(file, piece.first_row, piece.end - piece.start)
        elif starts_array(file):
            yield from _array(file)
        else:
            yield from _lines(file, 1)


def _opened(path: str) -> Any:
    if path.endswith(".gz"):
        return gzip.open(path, "rb")
    if path.endswith(".zst"):
        import zstandard

        packed = open(path, "rb")  # noqa: SIM115  closed with the reader
        reader = zstandard.ZstdDecompressor().stream_reader(
            packed, read_across_frames=True, closefd=True
        )
        return io.BufferedReader(reader)
    return open(path, "rb", buffering=BLOCK_BYTES)


def _lines(file: IO[bytes], first: int, size: int | None = None) -> NumberedRows:
    """The rows of the next lines, up to a size. Skips the text of a line too long."""
    number, left = first - 1, size
    while (left is None or left > 0) and (line := file.readline(MAX_ROW_BYTES + 1)):
        number += 1
        length = len(line)
        if length > MAX_ROW_BYTES:
            while not line.endswith(b"\n") and (line := file.readline(MAX_ROW_BYTES)):
                length += len(line)
            detail = f"{length / 2**20:.0f} MiB, at most {MAX_ROW_BYTES >> 20} MiB"
            yield number, RowFault("too-long", detail)
        elif line.strip():
            yield number, _row(line.removeprefix(b"\xef\xbb\xbf"))
        if left is not None:
            left -= length


def _row(line: bytes) -> dict[str, Any] | RowFault:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return RowFault("not-json", first_line(error))
    return row if isinstance(row, dict) else _not_an_object(row)


def _array(file: IO[bytes]) -> NumberedRows:
    """The rows of a JSON array, one at a time: as a whole it takes several times the
    memory of its file.
    """
    import ijson

    if file.peek(3).startswith(b"\xef\xbb\xbf"):  # type: ignore[attr-defined]
        file.read(3)
    for number, row in enumerate(ijson.items(file, "item", use_float=True), start=1):
        yield number, row if isinstance(row, dict) else _not_an_object(row)


def _not_an_object(row: Any) -> RowFault:
    return RowFault("not-mapping", type(row).__name__)


def _csv_rows(path: str) -> NumberedRows:
    import csv

    csv.field_size_limit(MAX_ROW_BYTES)
    with _opened(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        for number, row in enumerate(csv.DictReader(text), start=1):
            if None in row or None in row.values():
                yield number, RowFault("fields-missing")
            else:
                yield number, dict(row)


def _table_rows(piece: Piece) -> NumberedRows:
    import pyarrow.parquet as pq

    if piece.kind == "parquet":
        groups = range(piece.start, piece.end)
        batches = pq.ParquetFile(piece.path).iter_batches(
            _BATCH_ROWS, row_groups=groups
        )
    else:
        batches = _arrow_slices(piece)
    number = piece.first_row
    for batch in batches:
        for row in batch.to_pylist():
            yield number, row
            number += 1


def _arrow_slices(piece: Piece) -> Iterator[Any]:
    first = 0
    for batch in arrow_batches(piece.path):
        end = min(piece.end or first + batch.num_rows, first + batch.num_rows)
        for start in range(max(piece.start, first), end, _BATCH_ROWS):
            yield batch.slice(start - first, min(_BATCH_ROWS, end - start))
        first += batch.num_rows
        if piece.end and first >= piece.end:
            return
