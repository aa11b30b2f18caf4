"""All rows of a source, one after the other, without building a mix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.mix_settings import SourceSettings
from ._faults import RowFault
from ._forms import RowReader
from ._pieces import whole_file
from ._sources import find_files
from ._spool import all_rows


@dataclass(frozen=True, slots=True)
class ScannedRow:
    """One row: its conversation, or why it has none."""

    place: str
    """The file and the number of the row."""
    form: str = ""
    conversation: dict[str, Any] | None = None
    fault: RowFault | None = None


def scan(source: SourceSettings, root: Path) -> Iterator[ScannedRow]:
    """The rows of a source in the order of its files.

    Args:
        source: The settings of the source.
        root: The folder that relative paths start from.

    Raises:
        MixError: If there are no files, or one cannot be read.
    """
    for file in find_files(source, root):
        label = file.label or file.path.name
        for piece in whole_file(file, label, source.ds_type):
            reader = RowReader(source, piece.kind in ("parquet", "arrow"))
            for number, row in all_rows(piece):
                place = f"{label}: row {number}"
                if isinstance(row, RowFault):
                    yield ScannedRow(place, fault=row)
                    continue
                try:
                    form, own = reader.read(row)
                except RowFault as fault:
                    yield ScannedRow(place, fault=fault)
                else:
                    yield ScannedRow(place, form, own)
