"""All rows of a source, one after the other, without building a mix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ..config.mix_settings import SourceSettings
from ._faults import RowFault
from ._forms import RowReader
from ._pieces import Piece, whole_file
from ._sources import find_files
from ._spool import all_rows
from ._where import matches


@dataclass(frozen=True, slots=True)
class ScannedRow:
    """One row: its conversation, or why it has none."""

    place: str
    """The file and the number of the row."""
    form: str = ""
    conversation: dict[str, Any] | None = None
    fault: RowFault | None = None


def scan(source: SourceSettings, root: Path) -> Iterator[ScannedRow]:
    """The rows of a source that `where` keeps, in the order of its files.

    Args:
        source: The settings of the source.
        root: The folder that relative paths start from.

    Raises:
        MixError: If there are no files, or one cannot be read.
    """
    for label, number, read in lazy_rows(source, root):
        place = f"{label}: row {number}"
        try:
            form, own = read()
        except RowFault as fault:
            yield ScannedRow(place, fault=fault)
        else:
            yield ScannedRow(place, form, own)


def lazy_rows(
    source: SourceSettings, root: Path
) -> Iterator[tuple[str, int, Callable[[], tuple[str, dict[str, Any]]]]]:
    """The file and number of each row that `where` keeps, and what reads it."""
    for label, piece in _pieces(source, root):
        reader = RowReader(source, piece.kind in ("parquet", "arrow"))
        for number, row in all_rows(piece):
            if isinstance(row, RowFault):
                yield label, number, partial(_raise, row)
            elif not source.where or matches(row, source.where):
                yield label, number, partial(reader.read, row)


def _raise(fault: RowFault) -> NoReturn:
    raise fault


def _pieces(source: SourceSettings, root: Path) -> Iterator[tuple[str, Piece]]:
    """The pieces of a source's files, each with the file's name."""
    for file in find_files(source, root):
        label = file.label or file.path.name
        for piece in whole_file(file, label, source.ds_type):
            yield label, piece
