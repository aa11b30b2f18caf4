"""The rows of a piece, from any kind of file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any, TypeAlias

import orjson

from ..config.json_text import parse_json
from ._arrow import arrow_batches
from ._faults import RowFault, first_line
from ._heads import opened
from ._json_values import CutOff, values_of
from ._pieces import Piece

MAX_ROW_BYTES = 16 * 2**20
"""A longer row does not fit into training on a 24 GB card."""

_MARK = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8."""

_BATCH_ROWS = 1024
"""Rows of a table in memory at a time; a batch of the file may contain all rows."""

NumberedRows: TypeAlias = Iterator[tuple[int, "dict[str, Any] | RowFault"]]


def rows_of(piece: Piece) -> NumberedRows:
    """The rows of a piece with their numbers; a faulty row is replaced by its fault.

    A file that cannot be read to its end has a last fault with the number 0.
    """
    try:
        if piece.kind == "json":
            yield from _json_lines(piece)
        elif piece.kind in ("array", "values"):
            yield from _json_values(piece)
        elif piece.kind == "csv":
            yield from _csv_rows(piece.path)
        else:
            yield from _table_rows(piece)
    except Exception as error:  # each kind of file raises its own exceptions
        yield 0, RowFault("file-breaks-off", first_line(error))


def _json_lines(piece: Piece) -> NumberedRows:
    with opened(piece.path) as file:
        if piece.end:
            file.seek(piece.start)
            yield from _lines(file, piece.first_row, piece.end - piece.start)
        else:
            yield from _lines(file, 1)


def _json_values(piece: Piece) -> NumberedRows:
    """The rows of an array, or objects over lines, one at a time."""
    with opened(piece.path) as file:
        values = values_of(file, piece.kind == "array", MAX_ROW_BYTES)
        number = 0
        try:
            for number, text in enumerate(values, start=1):
                yield number, _row(text)
        except CutOff:
            yield 0, RowFault("file-breaks-off", "its JSON does not end")
        except OverflowError:
            detail = f"row {number + 1} is longer than {MAX_ROW_BYTES >> 20} MiB"
            yield 0, RowFault("file-breaks-off", detail)


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
        elif not line.isspace():
            yield number, _row(line)
        if left is not None:
            left -= length


def _row(text: bytes) -> dict[str, Any] | RowFault:
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text.startswith(_MARK):
            return _row(text.removeprefix(_MARK))
        row = _with_nan(text)
        if row is None:
            return RowFault("not-json", _why(text, error))
    if type(row) is dict:
        return row
    if isinstance(row, list) and row and all(map(_is_turn, row)):
        return {"messages": row}
    return RowFault("not-mapping", type(row).__name__)


def _why(text: bytes, error: Exception) -> str:
    """What is wrong; the same for all rows of a file in another encoding."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return "not UTF-8; convert the file, such as iconv -f WINDOWS-1252 -t UTF-8"
    return first_line(error)


def _with_nan(text: bytes) -> Any:
    """A row with NaN or Infinity, which are not JSON but which many tools write."""
    if b"NaN" not in text and b"Infinity" not in text:
        return None
    try:
        return parse_json(text)
    except ValueError:
        return None


def _is_turn(value: Any) -> bool:
    return isinstance(value, dict) and ("role" in value or "from" in value)


class _Lines:
    """The lines of a CSV file, and whether those of a row have an open quote.

    The reader takes the rest of a file for the text of a quote that is never closed.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._count = self._quotes = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._count += 1
            self._quotes += line.count('"')
            yield line

    def is_quote_open(self) -> bool:
        """Whether the lines since the last call have an odd number of quotes."""
        found = self._count > 1 and self._quotes % 2 == 1
        self._count = self._quotes = 0
        return found


def _csv_rows(path: str) -> NumberedRows:
    import csv

    csv.field_size_limit(MAX_ROW_BYTES)
    with opened(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        lines = _Lines(text)
        reader = csv.DictReader(lines)
        names = [name for name in reader.fieldnames or () if name]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:  # only the last one would be read
            yield 0, RowFault("file-breaks-off", f"two columns are called {twice!r}")
            return
        for number, row in enumerate(reader, start=1):
            if lines.is_quote_open():
                detail = f"a quote in row {number} is never closed"
                yield 0, RowFault("file-breaks-off", detail)
                return
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
