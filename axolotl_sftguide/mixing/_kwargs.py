"""Mixes whose only optional column is `chat_template_kwargs`, as JSON lines.

Each row has a mapping, which is empty if its source has none: TRL unpacks it, and a
null stops the training. `datasets` must not load them as one type of mapping: it would
add the keys that a row does not have, with nulls, and many templates ask whether a key
is defined. It keeps each row's own keys if those of the first 10 MB differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from ._columns import Indices
from ._write import Lines, release

COLUMN = "chat_template_kwargs"

_FIRST_BYTES = 10 << 20
"""`datasets` infers a file's types from the rows that start before this byte."""
_ROWS_AT_ONCE = 1024


def keep_their_keys(lines: Lines, rows: Indices) -> bool:
    """Whether loading a file of these rows leaves each row with its own keys."""
    size, keys = 0, set[frozenset[str]]()
    for line in _with_mapping(lines, rows):
        keys.add(frozenset(line[COLUMN]))
        if len(keys) > 1 or not line[COLUMN]:
            return True
        size += len(_written(line))
        if size >= _FIRST_BYTES:
            return False
    return True


def write_with_kwargs(
    path: Path, lines: Lines, rows: Indices, on_rows: Callable[[int], None]
) -> str:
    """Write these rows, each with a mapping, and return the file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for line in _with_mapping(lines, rows):
            text = _written(line)
            digest.update(text)
            file.write(text)
            on_rows(1)
    release()
    return digest.hexdigest()


def _with_mapping(lines: Lines, rows: Indices) -> Iterator[dict[str, Any]]:
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = lines.read(np.asarray(rows[first : first + _ROWS_AT_ONCE]))
        for text in part.splitlines():
            line = orjson.loads(text)
            yield {**line, COLUMN: orjson.loads(line.get(COLUMN, "{}"))}


def _written(line: Mapping[str, Any]) -> bytes:
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
