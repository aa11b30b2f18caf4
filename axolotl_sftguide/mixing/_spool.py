"""First pass: the rows of each piece as uniform JSON lines, and their fingerprints."""

from __future__ import annotations

import itertools
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from ..config.mix_settings import SourceSettings
from ._columns import Hashes
from ._faults import FaultCode, RowFault
from ._files import BLOCK_BYTES
from ._fingerprint import fingerprint
from ._forms import conversation, has_plain_settings
from ._pieces import Piece
from ._readers import rows_of
from ._tokens import token_counter

COLUMNS = ("tools", "chat_template_kwargs")
MESSAGE_KEYS = ("reasoning_content", "tool_calls", "tool_call_id", "name", "train")
"""Optional columns and keys. If one row has one, all lines of the mix get it."""

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
    keys: int = 0
    """Which of `COLUMNS` and `MESSAGE_KEYS` any row has, one bit each."""
    rows_read: int = 0
    filtered: int = 0
    """Rows left out by `where`."""
    forms: Counter[str] = field(default_factory=Counter)
    faults: Counter[FaultCode] = field(default_factory=Counter)
    first_faults: list[tuple[int, RowFault]] = field(default_factory=list)
    """Row number and fault, see `_FAULTS_KEPT`."""

    def has_message_key(self, key: str) -> bool:
        """Whether any message has one of `MESSAGE_KEYS`."""
        return bool(self.keys >> (len(COLUMNS) + MESSAGE_KEYS.index(key)) & 1)

    def note(self, number: int, fault: RowFault) -> None:
        """Count a fault, and keep it if it is among the first."""
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
    tokenizer: str | None = None,
) -> Spooled:
    """Read a piece and write its usable rows as uniform lines.

    Args:
        piece: The piece to read.
        settings: The settings of its source.
        phase: The name of its phase.
        label: The `source` of its rows in the dataset.
        folder: Where the lines are written, into one file per worker.
        tokenizer: Counts the tokens of each row, if given.
    """
    path = os.path.join(folder, f"{os.getpid()}.jsonl")
    found = Spooled(piece, path, np.empty((0, 2), np.uint64), np.empty(0, np.int64))
    hashes, ends, tokens = bytearray(), array("q"), array("L")
    count = token_counter(tokenizer) if tokenizer is not None else None
    with open(path, "ab", buffering=BLOCK_BYTES) as file:
        found.start = end = file.tell()
        for number, row, digest in _conversations(found, settings):
            number_of_tokens = 0 if count is None else count(row)
            row |= {"phase": phase, "source": label, "row": number}
            try:
                line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
            except TypeError as error:
                found.note(number, RowFault("unwritable", str(error)))
                continue
            file.write(line)
            hashes += digest
            end += len(line)
            ends.append(end)
            tokens.append(number_of_tokens)
    found.hashes = as_hashes(hashes)
    found.ends = np.array(ends, np.int64)
    if count is not None:
        found.tokens = np.array(tokens, np.uint32)
    return found


def as_hashes(digests: bytearray) -> Hashes:
    """Fingerprints that follow one another, as an array of shape (n, 2)."""
    return np.frombuffer(bytes(digests), ">u8").reshape(-1, 2).astype(np.uint64)


def matches(row: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Whether the columns of a row have the values that `where` lists."""
    for column, wanted in where.items():
        allowed = wanted if isinstance(wanted, list) else [wanted]
        if row.get(column) not in allowed:
            return False
    return True


def _conversations(
    found: Spooled, settings: SourceSettings
) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """The usable rows with their numbers and fingerprints; the others are counted."""
    plain, where = has_plain_settings(settings), settings.where
    for number, row in rows_of(found.piece):
        found.rows_read += 1
        try:
            if isinstance(row, RowFault):
                raise row
            if where and not matches(row, where):
                found.filtered += 1
                continue
            form, conversed = conversation(row, settings, plain)
            digest = fingerprint(conversed)
        except RowFault as fault:
            found.note(number, fault)
            continue
        except (TypeError, ValueError, KeyError, AttributeError, UnicodeError) as error:
            found.note(number, RowFault("wrong-type", str(error)[:_MAX_DETAIL]))
            continue
        found.keys |= _keys_of(conversed)
        found.forms[form] += 1
        yield number, conversed, digest


def _keys_of(row: dict[str, Any]) -> int:
    keys = 0
    if len(row) > 1:
        for bit, column in enumerate(COLUMNS):
            keys |= (column in row) << bit
    for message in row["messages"]:
        if len(message) > 2:
            for bit, key in enumerate(MESSAGE_KEYS, start=len(COLUMNS)):
                keys |= (key in message) << bit
    return keys


def complete(spooled: Spooled, keys: int) -> Spooled:
    """Add the columns and keys that other rows of the mix have, as null.

    Both hosts keep data in Arrow, which needs the same columns in each row.
    """
    ends = array("q")
    path = os.path.join(os.path.dirname(spooled.path), f"{os.getpid()}-complete.jsonl")
    with open(spooled.path, "rb") as lines, open(path, "ab", BLOCK_BYTES) as file:
        lines.seek(spooled.start)
        spooled.start = end = file.tell()
        for line in itertools.islice(lines, len(spooled.ends)):
            end += file.write(_completed(line, keys))
            ends.append(end)
    spooled.path, spooled.ends = path, np.array(ends, np.int64)
    return spooled


def _completed(line: bytes, keys: int) -> bytes:
    row = orjson.loads(line)
    messages = [
        {
            "role": message["role"],
            "content": message["content"],
            **{
                key: message.get(key)
                for bit, key in enumerate(MESSAGE_KEYS, start=len(COLUMNS))
                if keys >> bit & 1
            },
        }
        for message in row["messages"]
    ]
    columns = {c: row.get(c) for bit, c in enumerate(COLUMNS) if keys >> bit & 1}
    rest = {name: row[name] for name in ("phase", "source", "row")}
    completed = {"messages": messages, **columns, **rest}
    return orjson.dumps(completed, option=orjson.OPT_APPEND_NEWLINE)
