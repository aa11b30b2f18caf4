"""Why a row has no known form: what it has in the place of a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._column_names import squashed
from ._content import is_empty
from ._faults import RowFault
from ._names import ANSWER, PREFERENCE, QUESTION, TURNS
from ._raw_text import raw_text
from ._unread import present

if TYPE_CHECKING:
    from ..config.mix_settings import SourceSettings

_MOST = 8
_ROLES = ("role", "from")
_KNOWN = frozenset(map(squashed, (*QUESTION, *ANSWER)))
_COLUMNS = _KNOWN.union(TURNS)


def unknown_form(row: Mapping[str, Any], settings: SourceSettings) -> RowFault:
    """The fault of a row without a question and an answer, or messages."""
    named = [
        name
        for name in (settings.field_instruction, settings.field_output)
        if name is not None and is_empty(row.get(name))
    ]
    if named:
        return RowFault("question-or-answer-missing", ", ".join(named))
    columns = [str(c)[:40] for c in row if not is_empty(row[c])]
    listed = ", ".join(sorted(columns)[:_MOST])
    if any(name in columns for name in present(row, PREFERENCE)):
        return RowFault("preference-pair", listed)
    if _is_message(row):
        return RowFault("message-as-row", listed)
    holder = rows_inside(row)
    if holder is not None:
        return RowFault("rows-inside", holder)
    for column in present(row, TURNS):
        turns = row[column]
        if isinstance(turns, list) and turns and isinstance(turns[0], dict):
            keys = ", ".join(sorted(map(str, turns[0])))
            detail = f"its keys: {keys}; name another with message_property_mappings"
            return RowFault("role-missing", detail)
    asked = [row[name] for name in present(row, (*QUESTION, *ANSWER))]
    raw = raw_text(row) if all(value is None for value in asked) else None
    return raw or RowFault("columns-unknown", listed)


def unanswered(row: Mapping[str, Any], column: str) -> RowFault | None:
    """The fault of a row whose last message is a question, with the way out if any.

    Args:
        row: The row.
        column: The column of its messages.
    """
    if any(not is_empty(row[name]) for name in present(row, ("chosen",))):
        return RowFault("preference-pair")
    answers = [name for name in present(row, ANSWER) if not is_empty(row[name])]
    if not answers:
        return None
    detail = f"set field_instruction: {column} and field_output: {answers[0]}"
    return RowFault("ends-without-answer", detail)


def rows_inside(row: Mapping[str, Any]) -> str | None:
    """The key of an object that holds rows, or some of the keys that are rows."""
    if any(squashed(str(column)) in _KNOWN for column in row):
        return None
    lists = {
        str(column): len(value)
        for column, value in row.items()
        if isinstance(value, list) and value and all(map(_is_row, value))
    }
    if lists:
        return max(lists, key=lambda column: lists[column])
    values = list(row.values())
    if len(values) > 1 and all(map(_is_row, values)):
        keys = [str(column)[:40] for column in row]
        return ", ".join(keys[:2]) + (", ..." if len(keys) > 2 else "")
    return None


def _is_row(value: Any) -> bool:
    """Whether a value has a conversation in it, and is not a message itself."""
    if isinstance(value, list):
        return bool(value) and all(map(_is_message, value))
    if not isinstance(value, dict) or any(role in value for role in _ROLES):
        return False
    own = value.get("row", value)  # the service of the Hub that shows rows
    return isinstance(own, dict) and any(squashed(str(c)) in _COLUMNS for c in own)


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(value.get(role), str) and any(value.get(text) for text in texts)
        for role, texts in (("role", ("content", "text")), ("from", ("value",)))
    )
