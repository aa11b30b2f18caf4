"""One turn of a row as a message. Each key of a turn is read or named in a fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..config.roles import ROLE_NAMES, ROLES, chat_template_role, own_roles
from ._content import (
    FLAGS,
    flag,
    flag_in,
    is_empty,
    is_weight,
    named_detail,
    parts_detail,
    parts_of,
    repeats_reasoning,
    text_of,
)
from ._faults import RowFault, UnreadText
from ._names import TURN_METADATA
from ._tools import tool_calls_of
from ._turn_calls import CALL_ROLES, add_calls, calls_in_content, calls_of_turn

if TYPE_CHECKING:
    from ..config.mix_settings import SourceSettings

OPTIONAL_KEYS = ("reasoning_content", "thinking", "tool_calls", "tool_call_id", "name")
"""What a message may have besides `role` and `content`."""

_PLAIN = {
    "recipient": ("all", "user", "assistant"),
    "channel": ("final", "commentary"),
    "type": ("message", "text"),
}
"""Keys, with what they say of plain text; of OpenAI's Harmony, others call or think."""

_REASONING = ("reasoning_content", "reasoning", "thinking")
_CONTENT = ("content", "value", "text")
_READ = frozenset(("role", "from", "function_call", *FLAGS, *_REASONING, *_CONTENT))


def plain_messages(turns: list[Any]) -> list[dict[str, Any]] | None:
    """The turns, if all are already messages with only a role and a text."""
    found = []
    for turn in turns:
        if type(turn) is not dict or len(turn) != 2:
            return None
        role, content = turn.get("role"), turn.get("content")
        if role not in ROLES or type(content) is not str:
            return None
        found.append({"role": role, "content": content})
    return found


def _simple(turn: Any) -> dict[str, Any] | None:
    """The message of a turn with only a role and a text, under their usual keys."""
    if type(turn) is not dict or len(turn) != 2:
        return None
    if "role" in turn:
        role, content = turn["role"], turn.get("content")
    else:
        role, content = turn.get("from"), turn.get("value")
    if type(content) is str and type(role) is str and role not in CALL_ROLES:
        role = ROLE_NAMES.get(role, role)
        if role in ROLES:
            return {"role": role, "content": content}
    return None


class TurnReader:
    """Reads the turns of one source.

    Args:
        settings: The settings of the source.
        from_arrow: Whether missing keys are null, as in Parquet and Arrow files.
    """

    def __init__(self, settings: SourceSettings, from_arrow: bool = False) -> None:
        names = settings.message_property_mappings
        self.passed: Counter[str] = Counter()
        """Messages by the keys that were left out of them."""
        self.from_arrow = from_arrow
        self._role = names.get("role")
        self._content = names.get("content")
        self._thinking = names.get("thinking", "thinking")
        named = names.get("reasoning_content"), settings.field_thinking
        self._reasoning = (*filter(None, named), self._thinking, *_REASONING)
        self._names = {key: names.get(key, key) for key in OPTIONAL_KEYS}
        self._roles = own_roles(settings.roles)
        self._flag = settings.message_field_training
        self._detail = settings.message_field_training_detail or "train_detail"
        self._read = _READ.union(
            OPTIONAL_KEYS,
            self._reasoning,
            (self._flag, self._detail),
            names.values(),
        )
        self._ignored = frozenset(settings.ignore)
        self._is_simple = not (names or self._roles or settings.ignore)

    def messages(self, turns: list[Any]) -> list[dict[str, Any]]:
        """The turns of a conversation as messages.

        Turns that are tool calls belong to the answer before them: as in ms-swift,
        several calls at once are several turns.

        Raises:
            RowFault: If a turn is not a message.
        """
        found: list[dict[str, Any]] = []
        for turn in turns:
            message = self.message(turn)
            is_call = "tool_calls" in message and self._role_of(turn)[0] in CALL_ROLES
            if not (is_call and found and add_calls(found[-1], message)):
                found.append(message)
        return found

    def message(self, turn: Any) -> dict[str, Any]:
        """One turn as a message.

        Raises:
            RowFault: If the turn is not a message.
        """
        simple = _simple(turn) if self._is_simple else None
        return simple or self._message(turn)

    def _message(self, turn: Any) -> dict[str, Any]:
        if not isinstance(turn, dict):
            raise RowFault("turn-not-mapping", type(turn).__name__)
        turn = {k: v for k, v in turn.items() if v is not None}
        for key in self._ignored.intersection(turn):
            del turn[key]
            self.passed[key] += 1
        self._ignore_in_parts(turn)
        written, role = self._role_of(turn)
        message: dict[str, Any] = {"role": role, "content": ""}
        content = self._content_of(turn)
        calls = calls_of_turn(turn, self._names["tool_calls"], self.from_arrow)
        if role == "assistant" and isinstance(content, list):
            content, thought, called = parts_of(content)
            calls += tool_calls_of(called, from_arrow=self.from_arrow)
            if thought:
                turn.setdefault("reasoning_content", thought)
        if written in CALL_ROLES and not calls and isinstance(content, (str, dict)):
            calls = calls_in_content(content, self.from_arrow)
        elif content is not None:
            message["content"] = text_of(content)
        elif not calls:
            keys = ", ".join(sorted(turn))
            raise RowFault(
                "content-missing",
                f"its keys: {keys}; name another with message_property_mappings",
            )
        self._add_reasoning(turn, message)
        if calls:
            message["tool_calls"] = calls
        self._add_names(turn, message)
        self._add_flags(turn, content, message)
        self._account(turn)
        return message

    def _add_names(self, turn: Mapping[str, Any], message: dict[str, Any]) -> None:
        for key in ("tool_call_id", "name"):
            if value := turn.get(self._names[key]):
                message[key] = value if isinstance(value, str) else str(value)

    def _role_of(self, turn: Mapping[str, Any]) -> tuple[str, str]:
        keys = (self._role, "role", "from") if self._role else ("role", "from")
        role = next((turn[key] for key in keys if key in turn), None)
        if not isinstance(role, str):
            raise RowFault("role-missing", f"its keys: {', '.join(sorted(turn))}")
        if role in self._roles:
            return role, self._roles[role]
        if role not in ROLES:
            role = role.strip().lower().replace(" ", "_").replace("-", "_")
        return role, chat_template_role(role, {})

    def _content_of(self, turn: Mapping[str, Any]) -> Any:
        keys = (self._content, *_CONTENT) if self._content else _CONTENT
        return next((turn[key] for key in keys if key in turn), None)

    def _ignore_in_parts(self, turn: dict[str, Any]) -> None:
        """Remove the keys that the spec ignores from the parts of a text."""
        for name, value in turn.items():
            if self._ignored and isinstance(value, list):
                turn[name] = [
                    {k: v for k, v in part.items() if k not in self._ignored}
                    if isinstance(part, dict)
                    else part
                    for part in value
                ]

    def _add_reasoning(self, turn: Mapping[str, Any], message: dict[str, Any]) -> None:
        found = {key: turn[key] for key in self._reasoning if turn.get(key)}
        for key, value in found.items():
            if isinstance(value, list) and parts_detail(value):
                raise RowFault("flag-in-reasoning", key)
            text = text_of(value)
            if message.setdefault("reasoning_content", text) != text:
                raise UnreadText((key,), "key")
        if self._thinking in found:  # which some templates read, and no other key
            message["thinking"] = message["reasoning_content"]

    def _add_flags(
        self, turn: Mapping[str, Any], content: Any, message: dict[str, Any]
    ) -> None:
        detail = parts_detail(content) if isinstance(content, list) else None
        if self._detail in turn:
            text = message["content"]
            detail = named_detail(self._detail, turn[self._detail], text)
        if detail:
            message["train_detail"] = detail
        trained = self._flag_of(turn)
        if trained is not None:
            message["train"] = trained
        self._count_weights([turn])
        if isinstance(content, list):
            self._count_weights(content)

    def _count_weights(self, parts: list[Any]) -> None:
        for part in parts:
            for key in FLAGS:
                if isinstance(part, Mapping) and is_weight(part.get(key)):
                    self.passed[f"{key} other than 0 and 1"] += 1

    def _flag_of(self, turn: Mapping[str, Any]) -> bool | None:
        if self._flag is not None and self._flag in turn:
            return flag(self._flag, turn[self._flag])
        return flag_in(turn)

    def _account(self, turn: Mapping[str, Any]) -> None:
        """Count the keys that are left out; refuse those that nobody knows."""
        unread = [key for key in turn if key not in self._read]
        if not unread:
            # Of two texts, only the first is read.
            texts = [k for k in _CONTENT if k in turn and turn[k] not in ("", [])]
            if len(texts) > 1 and len({str(turn[k]) for k in texts}) > 1:
                raise UnreadText(tuple(texts[1:]), "key")
            return
        unknown = [
            key
            for key in unread
            if not is_empty(turn[key])
            and not _describes(key, turn[key])
            and not (key == "reasoning_details" and repeats_reasoning(turn))
        ]
        if unknown:
            raise UnreadText(tuple(sorted(unknown)), "key")
        self.passed.update(unread)


def _describes(key: str, value: Any) -> bool:
    """Whether a key of a message only describes it."""
    name = key.lower()
    return value in _PLAIN[name] if name in _PLAIN else name in TURN_METADATA
