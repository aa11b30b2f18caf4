"""The columns of a row that no message contains: counted, or named in a fault."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ._content import is_empty
from ._faults import UnreadText
from ._names import (
    MEDIA,
    OTHERS_CONTENT,
    REASONING,
    SWITCHES,
    SYSTEM,
    is_metadata,
)

if TYPE_CHECKING:
    from ..config.mix_settings import SourceSettings

_ADD_TO_MESSAGES = frozenset(
    ["tools", "functions", "chat_template_kwargs", "unmask", "metadata", "label"]
).union(SYSTEM, OTHERS_CONTENT) - {"messages"}
"""Columns that can change a conversation of plain messages, or make it a fault."""

_SHORT = 4
"""Text below this length occurs in others by chance."""


def cell(row: Mapping[str, Any], column: str) -> Any:
    """The value of a column, whose name may be written in capitals."""
    value = row.get(column)
    return row.get(actual(row, column)) if value is None else value


def actual(row: Mapping[str, Any], column: str) -> str:
    """The name of a column as the row writes it."""
    return column if column in row else _lowered(tuple(row)).get(column, column)


def present(row: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the columns that a row has, in their order, as the row writes them."""
    return _present(tuple(row), columns)


@lru_cache(maxsize=1024)
def _present(own: tuple[str, ...], columns: tuple[str, ...]) -> tuple[str, ...]:
    lowered = _lowered(own)
    names = [column if column in own else lowered.get(column) for column in columns]
    return tuple(name for name in names if name is not None)


@lru_cache(maxsize=1024)
def _lowered(columns: tuple[str, ...]) -> dict[str, str]:
    return {column.lower(): column for column in columns if isinstance(column, str)}


@dataclass(slots=True)
class _Kind:
    """Rows with the same columns."""

    look: list[str]
    """Columns that must be empty if `messages` is all that matters."""
    rows: int = 0
    """Rows that were read from `messages` alone."""


class Unread:
    """Accounts for the columns that are not part of a conversation.

    Args:
        settings: The settings of the source.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._ignored = frozenset(settings.ignore)
        self._known = self._ignored.union(settings.where)
        self._counted: Counter[str] = Counter()
        self._kinds: dict[tuple[str, ...], _Kind] = {}

    def passed(self) -> Counter[str]:
        """Rows by the columns that were left out of them."""
        counts = self._counted.copy()
        for columns, kind in self._kinds.items():
            empty = {"messages", *kind.look} - {"metadata"}
            if kind.rows:
                counts.update({c: kind.rows for c in columns if c not in empty})
        return counts

    def messages_alone(self, row: Mapping[str, Any]) -> _Kind | None:
        """The kind of a row in which the column `messages` is all that matters."""
        columns = tuple(row)
        kind = self._kinds.get(columns)
        if kind is None:
            look = [
                column
                for column in columns
                if column.lower() in _ADD_TO_MESSAGES and column not in self._ignored
            ]
            kind = self._kinds[columns] = _Kind(look)
        for column in kind.look:
            value = row[column]
            if column == "metadata":
                if "unmask" in (value or ()):
                    return None
            elif not is_empty(value):
                return None
        return kind

    def account(
        self,
        row: Mapping[str, Any],
        used: set[str],
        conversation: Mapping[str, Any],
        guessed: bool,
    ) -> None:
        """Count the columns that are left out; refuse those with text that is lost.

        Args:
            row: The row.
            used: The columns that the conversation was read from.
            conversation: The conversation.
            guessed: Whether the form was detected from the columns of questions and
                answers. Then unknown text is refused, whatever its column.

        Raises:
            UnreadText: If text would be lost.
        """
        unread: list[str] = []
        passed: list[str] = []
        for column, value in row.items():
            if column in used or is_empty(value):
                continue
            if column in self._known or not self._matters(column, value, guessed):
                passed.append(column)
            elif not _contains(conversation, column, value):
                unread.append(column)
        if unread:
            raise UnreadText(sorted(unread), "column")
        self._counted.update(passed)

    def _matters(self, column: str, value: Any, guessed: bool) -> bool:
        name = column.lower()
        if name == "label":
            return isinstance(value, bool) or (guessed and value in (0, 1))
        if name in OTHERS_CONTENT:
            switch = isinstance(value, str) and value.strip().lower() in SWITCHES
            return _has_text(value) and not (switch and name in REASONING)
        return guessed and not is_metadata(column) and _has_text(value)


def _contains(conversation: Mapping[str, Any], column: str, value: Any) -> bool:
    """Whether a conversation has the text of a column, or the column that of it."""
    if column.lower() in MEDIA or isinstance(value, bool):
        return False
    messages = conversation["messages"]
    own = [message["content"] for message in messages]
    if isinstance(value, str) and all(text.strip() in value for text in own):
        return True
    whole = "\n".join([*own, *_others(conversation)])
    answers = "\n".join(m["content"] for m in messages if m["role"] == "assistant")
    for text in map(str.strip, _texts(value)):
        if len(text) < _SHORT:
            if not re.search(rf"(?<!\w){re.escape(text)}(?!\w)", answers):
                return False
        elif text not in whole:
            return False
    return True


def _others(conversation: Mapping[str, Any]) -> Iterator[str]:
    if "tools" in conversation:
        yield conversation["tools"]
    for message in conversation["messages"]:
        yield message.get("reasoning_content", "")
        for call in message.get("tool_calls", ()):
            yield call["function"]["name"]
            yield call["function"]["arguments"]


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)


def _has_text(value: Any) -> bool:
    return isinstance(value, bytes) or any(text.strip() for text in _texts(value))
