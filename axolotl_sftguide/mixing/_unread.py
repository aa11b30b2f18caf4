"""The columns of a row that no message contains: counted, or named in a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ._column_names import (
    is_content,
    is_media,
    is_metadata,
    is_of_the_question,
    is_reasoning,
    is_system,
    may_ask,
    may_have_calls,
    may_have_tools,
    squashed,
)
from ._content import is_empty
from ._faults import UnreadText
from ._messages import lacks_system
from ._names import SWITCHES
from ._tools import is_tool_calls, is_tools, parsed_list

if TYPE_CHECKING:
    from ..config.mix_settings import SourceSettings

_LABELS = ("label", "ktotag")
"""Columns that say whether an answer is good, as booleans."""

_ADD_TO_MESSAGES = frozenset(
    ["tools", "functions", "chattemplatekwargs", "unmask", "metadata", *_LABELS]
)
"""Columns, besides those of content, that can change a conversation of plain messages,
or make it a fault."""

_SHORT = 4
"""Text below this length occurs in others by chance."""


def cell(row: Mapping[str, Any], column: str) -> Any:
    """The value of a column, whose name may be written with capitals or spaces."""
    value = row.get(column)
    return row.get(actual(row, column)) if value is None else value


def actual(row: Mapping[str, Any], column: str) -> str:
    """The name of a column as the row writes it."""
    if column in row:
        return column
    return _by_squashed(tuple(row)).get(squashed(column), column)


def present(row: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the columns that a row has, in their order, as the row writes them."""
    return _present(tuple(row), columns)


@lru_cache(maxsize=1024)
def _present(own: tuple[str, ...], columns: tuple[str, ...]) -> tuple[str, ...]:
    by_squashed = _by_squashed(own)
    names = [c if c in own else by_squashed.get(squashed(c)) for c in columns]
    return tuple(name for name in names if name is not None)


@lru_cache(maxsize=1024)
def _by_squashed(columns: tuple[str, ...]) -> dict[str, str]:
    return {squashed(c): c for c in columns if isinstance(c, str)}


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
                if column != "messages"
                and column not in self._ignored
                and _may_add(column)
            ]
            kind = self._kinds[columns] = _Kind(look)
        for column in kind.look:
            value = row[column]
            if column == "metadata":
                if "unmask" in (value or ()):
                    return None
            elif may_have_tools(column) and squashed(column) not in _ADD_TO_MESSAGES:
                if _are_tools(column, value):
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
            if column in self._known or _is_replaced(column, used, conversation):
                passed.append(column)
                continue
            matters = self._matters(column, value, guessed) or (
                guessed
                and (may_ask(column, value, used) or _judges(column, value, used))
            )
            if not matters:
                passed.append(column)
            elif not _contains(conversation, column, value):
                unread.append(column)
        if unread:
            raise UnreadText(sorted(unread), "column")
        self._counted.update(passed)

    def _matters(self, column: str, value: Any, guessed: bool) -> bool:
        if squashed(column) in _LABELS:
            return isinstance(value, bool) or str(value).lower() in ("true", "false")
        if is_content(column):
            switch = isinstance(value, str) and value.strip().lower() in SWITCHES
            return _has_text(value) and not (switch and is_reasoning(column))
        if may_have_tools(column) and not guessed:
            return _are_tools(column, value)
        return guessed and not is_metadata(column) and _has_text(value)


def _is_replaced(column: str, used: set[str], conversation: Mapping[str, Any]) -> bool:
    """Whether Axolotl reads the system message of the turns in place of a column."""
    return (
        is_system(column)
        and not lacks_system(conversation["messages"])
        and not any(map(is_system, used))
    )


def _judges(column: str, value: Any, used: set[str]) -> bool:
    """Whether a number says if a completion is good, as in data for KTO."""
    return (
        squashed(column) in _LABELS
        and "completion" in map(squashed, used)
        and str(value) in ("0", "1", "0.0", "1.0")
    )


def _may_add(column: str) -> bool:
    """Whether a column can change a conversation of messages, or make it a fault."""
    return (
        squashed(column) in _ADD_TO_MESSAGES
        or is_content(column)
        or may_have_tools(column)
    )


def _are_tools(column: str, value: Any) -> bool:
    """Whether a column, such as `available_tools`, has tools or calls of tools."""
    if may_have_calls(column):
        return is_tool_calls(value) or is_tool_calls([value])
    return is_tools(value)


def _contains(conversation: Mapping[str, Any], column: str, value: Any) -> bool:
    """Whether a conversation has the text of a column, or the column that of it."""
    if is_media(column) or isinstance(value, bool):
        return False
    if isinstance(value, (int, float)):
        value = str(value)
    if may_have_tools(column) and isinstance(value, str):
        value = parsed_list(value) or value
    messages = conversation["messages"]
    own = [message["content"] for message in messages]
    if isinstance(value, str) and all(text.strip() in value for text in own):
        return True
    asked = is_of_the_question(column)
    side = (m["content"] for m in messages if (m["role"] == "assistant") != asked)
    by_side = "\n".join(side)
    whole = by_side if asked else "\n".join([*own, *_others(conversation)])
    return all(
        _is_in(text, by_side if len(text) < _SHORT else whole)
        for text in map(str.strip, _texts(value))
    )


def _is_in(text: str, whole: str) -> bool:
    """Whether a text is in another one, and not a part of its words."""
    at = whole.find(text)
    while at >= 0:
        end = at + len(text)
        if not (
            _are_joined(whole[at - 1 : at], text[:1])
            or _are_joined(text[-1:], whole[end : end + 1])
        ):
            return True
        at = whole.find(text, at + 1)
    return False


def _are_joined(one: str, two: str) -> bool:
    """Whether two characters that follow one another are of one word."""
    return _is_of_a_word(one) and _is_of_a_word(two)


def _is_of_a_word(character: str) -> bool:
    # Scripts without spaces have no such words.
    return character.isascii() and character.isalnum()


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
    """Whether a value contains text, or bytes such as those of an image."""
    if isinstance(value, Mapping):
        return any(map(_has_text, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_text, value))
    return bool(value.strip()) if isinstance(value, (str, bytes)) else False
