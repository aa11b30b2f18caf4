"""Mixes with optional columns, as Parquet: the only kind of file with a schema.

`datasets` tells the types of a JSON file from its first 10 MB. A column that is null
there and has a type later cannot be loaded, and no order of the rows prevents that.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from ._columns import Indices
from ._files import checksum
from ._spool import COLUMNS, DATE, MESSAGE_KEYS
from ._write import Lines, release

_GROUP_ROWS = 8192
_GROUP_BYTES = 2**25


def reads_as_dates(line: bytes) -> bool:
    """Whether Arrow could take a text of the first line of a JSON file for a time.

    It does so if all texts of a column are such, and then fails at the first other one.
    """
    row = orjson.loads(line)
    contents = [message["content"] for message in row["messages"]]
    return any(
        all(map(DATE.match, texts))
        for texts in ([row["phase"]], [row["source"]], contents)
    )


def write_parquet(
    path: Path,
    lines: Lines,
    rows: Indices,
    keys: int,
    on_rows: Callable[[int], None],
) -> tuple[str, str]:
    """Write these rows. Returns the SHA-256 of the file and of its rows as JSON lines.

    The second one does not depend on the version of pyarrow.

    Args:
        path: The file.
        lines: The places of all lines.
        rows: The rows to write, in order.
        keys: Which of `COLUMNS` and `MESSAGE_KEYS` any row has, one bit each.
        on_rows: Called with the number of rows that were written since the last call.
    """
    import pyarrow.parquet as pq

    parsed, written = _schemas(keys)
    digest = hashlib.sha256()
    with pq.ParquetWriter(path, written, compression="zstd") as writer:
        for group in _groups(lines, rows):
            text = lines.read(group)
            digest.update(text)
            writer.write_table(_table(text, parsed, written))
            on_rows(len(group))
    release()
    return checksum(path), digest.hexdigest()


def _schemas(keys: int) -> tuple[Any, Any]:
    """The schema of the lines, and the one of the file.

    The arguments of calls and of a template differ by row, so that they are JSON, which
    `datasets` reads as a mapping. Many templates write arguments as JSON, and would
    write a text as a JSON string.
    """
    import pyarrow as pa

    text = pa.string()
    part = pa.struct(
        [
            ("begin_offset", pa.int64()),
            ("end_offset", pa.int64()),
            ("train", pa.bool_()),
            ("text", text),
        ]
    )
    columns = [c for bit, c in enumerate(COLUMNS) if keys >> bit & 1]

    def schema(json: Any) -> Any:
        call = pa.struct([("name", text), ("arguments", json)])
        calls = pa.list_(pa.struct([("id", text), ("type", text), ("function", call)]))
        types = {
            "tool_calls": calls,
            "train": pa.bool_(),
            "train_detail": pa.list_(part),
        }
        message = [("role", text), ("content", text)]
        for bit, key in enumerate(MESSAGE_KEYS, start=len(COLUMNS)):
            if keys >> bit & 1:
                message.append((key, types.get(key, text)))
        return pa.schema(
            [
                ("messages", pa.list_(pa.struct(message))),
                *((c, json if c == "chat_template_kwargs" else text) for c in columns),
                ("phase", text),
                ("source", text),
                ("row", pa.int64()),
            ]
        )

    return schema(text), schema(pa.json_())


def _table(text: bytes, parsed: Any, written: Any) -> Any:
    import pyarrow.compute as pc
    import pyarrow.json as pj

    table = pj.read_json(
        io.BytesIO(text),
        pj.ReadOptions(block_size=max(len(text), 1)),
        pj.ParseOptions(explicit_schema=parsed, unexpected_field_behavior="error"),
    )
    if "chat_template_kwargs" in parsed.names:
        index = parsed.names.index("chat_template_kwargs")
        # TRL unpacks it in each row, so that none may be null.
        filled = pc.fill_null(table.column(index), "{}")
        table = table.set_column(index, parsed.field(index), filled)
    return table.select(parsed.names).cast(written)


def _groups(lines: Lines, rows: Indices) -> Any:
    """Rows of a row group each, at most so many rows and bytes."""
    for first in range(0, len(rows), _GROUP_ROWS):
        part = rows[first : first + _GROUP_ROWS]
        ends = np.cumsum(lines.lengths(part), dtype=np.int64)
        start = 0
        while start < len(part):
            before = int(ends[start - 1]) if start else 0
            end = int(np.searchsorted(ends, before + _GROUP_BYTES, side="right"))
            end = max(end, start + 1)
            yield part[start:end]
            start = end
