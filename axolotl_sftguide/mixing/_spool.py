"""First pass: the rows of each piece as uniform JSON lines, and their fingerprints."""

from __future__ import annotations

import os
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import orjson

from ._columns import Hashes
from ._extras import NOTHING, Extras, Wanted
from ._faults import FaultCode, RowFault, UnreadText
from ._fingerprint import as_hashes, fingerprint
from ._forms import RowReader
from ._heads import BLOCK_BYTES
from ._pieces import Piece
from ._readers import rows_of
from ._turns import OPTIONAL_KEYS
from ._where import WhereSeen, matches, named_columns
from ._whole import expanded

if TYPE_CHECKING:
    from ..config.mix_settings import SourceSettings

COLUMNS = ("tools", "chat_template_kwargs")
MESSAGE_KEYS = (*OPTIONAL_KEYS, "train", "train_detail")
"""Optional columns and keys. Most of them need a file with a schema."""
KWARGS = 1 << COLUMNS.index("chat_template_kwargs")
NESTED_KWARGS = 1 << len(COLUMNS) + len(MESSAGE_KEYS)
"""Bits of `Spooled.keys`: `chat_template_kwargs`, and some that need a schema too."""

DATE = re.compile(r"\d{4}-\d\d-\d\d")
"""The start of a text that Arrow may take for a time."""

_FAULTS_KEPT = 20
"""The first faults of a piece are kept with their row, as is the first of each code."""

_MAX_DETAIL = 167
"""Characters of Python's message about a row of wrong types."""


@dataclass
class Spooled:
    """One piece after the first pass."""

    piece: Piece
    path: str
    """The file with its uniform lines, and with those of other pieces."""
    hashes: Hashes
    """The fingerprints, of shape (rows, 2)."""
    ends: np.ndarray[Any, np.dtype[np.int64]]
    """Where each line ends in the file."""
    start: int = 0
    """Where the first line starts."""
    tokens: np.ndarray[Any, np.dtype[np.uint32]] | None = None
    """Tokens per row, if they are counted."""
    questions: Hashes | None = None
    """The fingerprints of the first user messages, if they are needed."""
    bands_path: str = ""
    bands_start: int = 0
    """Where the bands of the rows are, band after band, if they are needed."""
    overlaps: list[tuple[int, int, float]] = field(default_factory=list)
    """The row, from 0, the excluded question and the share of its n-grams."""
    keys: int = 0
    """Which of `COLUMNS` and `MESSAGE_KEYS` any row has, and `NESTED_KWARGS`."""
    rows_read: int = 0
    filtered: int = 0
    """Rows left out by `where`."""
    forms: Counter[str] = field(default_factory=Counter)
    faults: Counter[FaultCode] = field(default_factory=Counter)
    first_faults: list[tuple[int, RowFault]] = field(default_factory=list)
    """Row number and fault, see `_FAULTS_KEPT`."""
    broken: RowFault | None = None
    """Why the file cannot be read to its end."""
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Rows with text that would be lost, by `column` or `key` and its name."""
    passed: Counter[str] = field(default_factory=Counter)
    """Rows by the columns, and messages by the keys, that were left out of them."""
    where: WhereSeen = field(default_factory=WhereSeen)
    """What `where`, and settings that name columns, have met."""

    def has_message_key(self, key: str) -> bool:
        """Whether any message has one of `MESSAGE_KEYS`."""
        return bool(self.keys >> (len(COLUMNS) + MESSAGE_KEYS.index(key)) & 1)

    def note(self, number: int, fault: RowFault) -> None:
        """Count a fault, and keep it if it is among the first."""
        if fault.code == "file-breaks-off":
            self.broken = fault
            return
        if isinstance(fault, UnreadText):
            self.unread.update((fault.kind, name) for name in fault.names)
        self.faults[fault.code] += 1
        first_of_its_code = self.faults[fault.code] == 1
        if first_of_its_code or len(self.first_faults) < _FAULTS_KEPT:
            self.first_faults.append((number, fault))


def spool(
    piece: Piece,
    settings: SourceSettings,
    phase: str,
    label: str,
    folder: str,
    wanted: Wanted = NOTHING,
) -> Spooled:
    """Read a piece and write its usable rows as uniform lines.

    Args:
        piece: The piece to read.
        settings: The settings of its source.
        phase: The name of its phase.
        label: The `source` of its rows in the dataset.
        folder: Where the lines are written, into one file per worker.
        wanted: What else is computed of each row.
    """
    path = os.path.join(folder, f"{os.getpid()}.jsonl")
    found = Spooled(piece, path, np.empty((0, 2), np.uint64), np.empty(0, np.int64))
    hashes, ends = bytearray(), array("q")
    extras = Extras(wanted)
    written: list[bytes] = []
    with open(path, "ab", buffering=0) as file:
        found.start = start = end = file.tell()
        for number, row, digest in _conversations(found, settings):
            whole = {**row, "phase": phase, "source": label, "row": number}
            if "chat_template_kwargs" in row:
                kwargs = row["chat_template_kwargs"]
                whole["chat_template_kwargs"] = orjson.dumps(kwargs).decode()
            try:
                line = orjson.dumps(whole, option=orjson.OPT_APPEND_NEWLINE)
            except TypeError as error:
                found.note(number, RowFault("unwritable", str(error)))
                continue
            written.append(line)
            hashes += digest
            extras.add(row)
            end += len(line)
            ends.append(end)
            if end - start > BLOCK_BYTES:
                _write(file, written)
                start = end
        _write(file, written)
    found.hashes = as_hashes(hashes)
    found.ends = np.array(ends, np.int64)
    found.tokens, found.questions = extras.tokens, extras.questions
    found.overlaps = extras.overlaps
    found.bands_path = f"{path}.bands"
    found.bands_start = extras.write_bands(found.bands_path)
    return found


def _conversations(
    found: Spooled, settings: SourceSettings
) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """The usable rows with their numbers and fingerprints; the others are counted."""
    where, seen = settings.where, found.where
    reader = RowReader(settings, found.piece.kind in ("parquet", "arrow"))
    forms, keys = found.forms, 0
    noted = bool(where or named_columns(settings))
    for number, row in all_rows(found.piece):
        found.rows_read += 1
        try:
            if isinstance(row, RowFault):
                raise row
            if noted:
                seen.see(row, where)
            if where and not matches(row, where):
                found.filtered += 1
                continue
            form, conversation = reader.read(row)
            digest = fingerprint(conversation)
        except RowFault as fault:
            found.note(number, fault)
            continue
        except (TypeError, ValueError, KeyError, AttributeError, UnicodeError) as error:
            found.note(number, RowFault("wrong-type", str(error)[:_MAX_DETAIL]))
            continue
        keys |= _keys_of(conversation)
        forms[form] += 1
        yield number, conversation, digest
    found.keys = keys
    found.passed = reader.passed


def _write(file: IO[bytes], lines: list[bytes]) -> None:
    rest = memoryview(b"".join(lines))
    lines.clear()
    while rest:
        rest = rest[file.write(rest) :]


def all_rows(piece: Piece) -> Iterator[tuple[int, dict[str, Any] | RowFault]]:
    """The rows of a piece; one with several conversations gives each of them."""
    for number, row in rows_of(piece):
        if type(row) is dict and ("instances" in row or "message_tree_id" in row):
            try:
                yield from ((number, part) for part in expanded(row))
            except RecursionError:
                yield number, RowFault("wrong-type", "nested too deeply")
        else:
            yield number, row


def _keys_of(row: dict[str, Any]) -> int:
    keys = 0
    if len(row) > 1:
        for bit, column in enumerate(COLUMNS):
            keys |= (column in row) << bit
        if keys & KWARGS and not _are_flat(row["chat_template_kwargs"]):
            keys |= NESTED_KWARGS
    for message in row["messages"]:
        if len(message) > 2:
            for bit, key in enumerate(MESSAGE_KEYS, start=len(COLUMNS)):
                keys |= (key in message) << bit
    return keys


def _are_flat(kwargs: Mapping[str, Any]) -> bool:
    """Whether the loader of JSON files leaves the values as they are.

    It rounds numbers to ten decimals, and takes texts that are dates for times.
    """
    return all(
        value is None
        or isinstance(value, (bool, int))
        or (isinstance(value, str) and not DATE.match(value))
        for value in kwargs.values()
    )
