"""The rows of a dataset that cannot be used, each by file and number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.mix_settings import SourceSettings
from ..errors import SFTGuideError
from ._faults import FAULTS, FaultCode, RowFault
from ._files import files_at
from ._forms import RowReader
from ._hub import is_loaded_by_name
from ._pieces import Piece, whole_file
from ._spool import all_rows

UNREADABLE: frozenset[FaultCode] = frozenset(
    (
        "not-json",
        "not-mapping",
        "file-breaks-off",
        "turns-missing",
        "turn-not-mapping",
        "role-missing",
    )
)
"""The faults with which a host cannot prepare the whole dataset."""

UNTRAINED: frozenset[FaultCode] = frozenset(("answer-empty", "ends-without-answer"))
"""The faults of rows that a host prepares, and that train less than they look."""


@dataclass(frozen=True, slots=True)
class FaultyRow:
    """One row that cannot be used."""

    file: str
    number: int
    """From 1; in JSON lines the number of the line. 0 for the rest of a file."""
    row_id: str
    """The row's `id`, if it has one."""
    code: FaultCode
    detail: str

    @property
    def place(self) -> str:
        """The file, the number and the id."""
        at = f"{self.file}:{self.number}" if self.number else self.file
        return f"{at} (id {self.row_id})" if self.row_id else at

    def __str__(self) -> str:
        """The place and the reason."""
        text = FAULTS[self.code]
        return f"{self.place}: {text}" + (f" ({self.detail})" if self.detail else "")


def faulty_rows(entry: Mapping[str, Any], root: Path) -> Iterator[FaultyRow]:
    """The faulty rows of an entry of `datasets`, if its files are on this machine.

    Only conversations are read: a dataset of another form has none.

    Args:
        entry: The entry, as in Axolotl's config.
        root: The folder that relative paths start from.
    """
    source = _source(entry)
    if source is None or source.type not in (None, "chat_template"):
        return
    try:
        path = root / Path(source.path).expanduser()
        if is_loaded_by_name(source, path):
            return
        files = files_at(source, root, [])
    except (SFTGuideError, OSError, RuntimeError):
        return  # which the host reports
    for file in files:
        label = file.path.name if len(files) == 1 else str(file.path)
        try:
            for piece in whole_file(file, label, source.ds_type):
                reader = RowReader(source, piece.kind in ("parquet", "arrow"))
                yield from _of_piece(piece, reader, label)
        except (SFTGuideError, OSError):
            continue


def _of_piece(piece: Piece, reader: RowReader, label: str) -> Iterator[FaultyRow]:
    for number, row in all_rows(piece):
        fault = _fault(row, reader)
        if fault is not None:
            given = row.get("id", "") if isinstance(row, dict) else ""
            yield FaultyRow(label, number, str(given), fault.code, fault.detail)


def _source(entry: Mapping[str, Any]) -> SourceSettings | None:
    known = {key: entry[key] for key in entry if key in SourceSettings.model_fields}
    for new, old in (("role", "role"), ("content", "content")):
        name = entry.get(f"message_field_{old}")
        if name:
            mapping = known.setdefault("message_property_mappings", {})
            known["message_property_mappings"] = {new: name, **(mapping or {})}
    try:
        return SourceSettings.model_validate(known)
    except ValueError:
        return None


def _fault(row: Any, reader: RowReader) -> RowFault | None:
    if isinstance(row, RowFault):
        return row
    try:
        reader.read(row)
    except RowFault as fault:
        return fault
    return None
