"""The first pass: each piece as uniform lines, and what the plan needs of them."""

from __future__ import annotations

import itertools
import os
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from ..config.mix_settings import SourceSettings
from ._plan import Hashes
from ._read import BLOCK_BYTES, Piece, rows_of
from ._rows import FaultCode, RowFault, conversation, fingerprint, is_usual, passes
from ._tokens import token_counter

COLUMNS = ("tools", "chat_template_kwargs")
TURN_KEYS = ("reasoning_content", "tool_calls", "tool_call_id", "name", "train")
"""What only some rows have; where one has it, all lines get it."""

_KEPT_FAULTS = 20
"""Faults of a piece that are told by line; the rest is counted."""

_MOST_DETAIL = 167
"""Characters that are told of what Python says of a row of wrong types."""


@dataclass
class Spooled:
    """One piece, read."""

    piece: Piece
    path: str
    """The file that its uniform lines are in, with those of others."""
    hashes: Hashes
    """Shape (rows, 2)."""
    ends: np.ndarray[Any, np.dtype[np.int64]]
    """Where each line ends in the file."""
    start: int = 0
    """Where the first begins."""
    tokens: np.ndarray[Any, np.dtype[np.uint32]] | None = None
    """Of each row, where they are counted."""
    keys: int = 0
    """Which of `COLUMNS` and `TURN_KEYS` any row has, a bit each."""
    rows_read: int = 0
    filtered: int = 0
    """Rows that `where` leaves out."""
    forms: Counter[str] = field(default_factory=Counter)
    faults: Counter[FaultCode] = field(default_factory=Counter)
    told: list[tuple[int, str]] = field(default_factory=list)
    """Row number and text of the first faults."""

    def says(self, key: str) -> bool:
        """Whether any turn has one of `TURN_KEYS`."""
        return bool(self.keys >> (len(COLUMNS) + TURN_KEYS.index(key)) & 1)


def spool(
    piece: Piece,
    settings: SourceSettings,
    phase: str,
    label: str,
    folder: str,
    tokenizer: str | None = None,
) -> Spooled:
    """Read a piece, write its lines, and say what they are.

    Args:
        piece: What is read.
        settings: Of its source.
        phase: The name of its phase.
        label: The file's name as each of its rows tells it.
        folder: Where the lines go, into one file for each worker.
        tokenizer: Counts tokens, where that is asked for.
    """
    path = os.path.join(folder, f"{os.getpid()}.jsonl")
    found = Spooled(piece, path, np.empty((0, 2), np.uint64), np.empty(0, np.int64))
    hashes, ends, tokens = bytearray(), array("q"), array("L")
    count = token_counter(tokenizer) if tokenizer is not None else None
    with open(path, "ab", buffering=BLOCK_BYTES) as file:
        found.start = end = file.tell()
        for number, said, digest in _conversations(found, settings):
            number_of_tokens = 0 if count is None else count(said)
            said |= {"phase": phase, "source": label, "row": number}
            try:
                line = orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)
            except TypeError as fault:
                _note(found, number, RowFault("unwritable", str(fault)))
                continue
            file.write(line)
            hashes += digest
            end += len(line)
            ends.append(end)
            tokens.append(number_of_tokens)
    found.hashes = np.frombuffer(bytes(hashes), ">u8").reshape(-1, 2).astype(np.uint64)
    found.ends = np.array(ends, np.int64)
    if count is not None:
        found.tokens = np.array(tokens, np.uint32)
    return found


def _conversations(
    found: Spooled, settings: SourceSettings
) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """The usable rows with their numbers and fingerprints; the rest is noted."""
    usual, where = is_usual(settings), settings.where
    for number, row in rows_of(found.piece):
        found.rows_read += 1
        try:
            if isinstance(row, RowFault):
                raise row
            if where and not passes(row, where):
                found.filtered += 1
                continue
            form, said = conversation(row, settings, usual)
            digest = fingerprint(said)
        except RowFault as fault:
            _note(found, number, fault)
            continue
        except (TypeError, ValueError, KeyError, AttributeError, UnicodeError) as fault:
            _note(found, number, RowFault("wrong-type", str(fault)[:_MOST_DETAIL]))
            continue
        found.keys |= _keys_of(said)
        found.forms[form] += 1
        yield number, said, digest


def complete(spooled: Spooled, keys: int) -> Spooled:
    """A piece with null for what other rows of the mix have and its own have not.

    Arrow, in which both hosts keep data, wants the same columns in each row.
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
            "role": turn["role"],
            "content": turn["content"],
            **{
                key: turn.get(key)
                for bit, key in enumerate(TURN_KEYS, start=len(COLUMNS))
                if keys >> bit & 1
            },
        }
        for turn in row["messages"]
    ]
    columns = {c: row.get(c) for bit, c in enumerate(COLUMNS) if keys >> bit & 1}
    rest = {name: row[name] for name in ("phase", "source", "row")}
    complete = {"messages": messages, **columns, **rest}
    return orjson.dumps(complete, option=orjson.OPT_APPEND_NEWLINE)


def fingerprints(piece: Piece, settings: SourceSettings) -> Hashes:
    """Only what the rows of a piece say: for files that must not be trained on."""
    digests = bytearray()
    for _, row in rows_of(piece):
        if isinstance(row, RowFault):
            continue
        try:
            digests += fingerprint(conversation(row, settings, False)[1])
        except (RowFault, TypeError, ValueError, KeyError, AttributeError):
            continue
    return np.frombuffer(bytes(digests), ">u8").reshape(-1, 2).astype(np.uint64)


def _keys_of(said: dict[str, Any]) -> int:
    keys = 0
    if len(said) > 1:
        for bit, column in enumerate(COLUMNS):
            keys |= (column in said) << bit
    for turn in said["messages"]:
        if len(turn) > 2:
            for bit, key in enumerate(TURN_KEYS, start=len(COLUMNS)):
                keys |= (key in turn) << bit
    return keys


def _note(found: Spooled, number: int, fault: RowFault) -> None:
    found.faults[fault.code] += 1
    if len(found.told) < _KEPT_FAULTS:
        found.told.append((number, str(fault)))
