"""The texts in the columns of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._content import is_empty, text_of
from ._faults import RowFault
from ._unread import present


def joined(text: str, more: str, between: str) -> str:
    """A text with another one appended, if both have content."""
    if not more.strip():
        return text
    return f"{text}{between}{more}" if text.strip() else more


def formatted(row: Mapping[str, Any], pattern: str, used: set[str]) -> str:
    """The text of a pattern that names columns in braces; empty without a pattern.

    Raises:
        RowFault: If a column is missing.
    """
    if not pattern:
        return ""
    names = [part.partition("}")[0] for part in pattern.split("{")[1:]]
    used.update(names)
    missing = [name for name in names if is_empty(row.get(name))]
    if missing:
        raise RowFault("question-or-answer-missing", ", ".join(missing))
    return pattern.format(**{name: cell_text(row, name) for name in names})


def cell_text(row: Mapping[str, Any], name: str) -> str:
    """The text of a column; a list of texts has a line for each."""
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "\n".join(value)
    try:
        return text_of(value)
    except RowFault as fault:
        raise RowFault(fault.code, f"{name}: {fault.detail}") from None


def first_of(
    row: Mapping[str, Any], columns: tuple[str, ...], taken: set[Any]
) -> str | None:
    """The first of these columns that has content, or else that exists."""
    names = present(row, columns)
    found = [n for n in names if n not in taken and row[n] is not None]
    return next((n for n in found if not is_empty(row[n])), found[0] if found else None)
