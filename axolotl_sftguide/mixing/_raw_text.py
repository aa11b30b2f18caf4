"""Rows of raw text, which are not conversations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._column_names import is_metadata
from ._content import is_empty
from ._faults import RowFault
from ._names import SYSTEM, TURNS
from ._unread import present

_RAW = ("text", "content", *TURNS)
_MARKS = (
    "### Human:",
    "### Assistant:",
    "### Instruction:",
    "<|im_start|>",
    "<|start_header_id|>",
    "<start_of_turn>",
    "[INST]",
    "USER:",
    "Human:",
)
"""How turns begin in datasets of raw text, such as Guanaco's and Glaive's."""


def raw_text(row: Mapping[str, Any]) -> RowFault | None:
    """The fault of a row whose only text is raw; None for another row."""
    raw = [name for name in present(row, _RAW) if isinstance(row[name], str)]
    known = {*raw, *present(row, SYSTEM)}
    others = [
        column
        for column, value in row.items()
        if column not in known
        and isinstance(value, str)
        and not is_empty(value)
        and not is_metadata(column)
    ]
    if not raw or others:
        return None
    mark = next((mark for mark in _MARKS if mark in row[raw[0]]), None)
    marked = f", whose turns begin with {mark!r}" if mark else ""
    return RowFault("raw-text", f"{raw[0]}{marked}")
