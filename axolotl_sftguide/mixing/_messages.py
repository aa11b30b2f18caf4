"""The messages of a conversation: read from a row's turns, and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..config.mix_settings import SourceSettings
from ._faults import RowFault

OPTIONAL_KEYS = ("reasoning_content", "tool_calls", "tool_call_id", "name")
"""What a message may have besides `role` and `content`."""

_ROLES = ("system", "user", "assistant", "tool")
_SHAREGPT_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "function": "tool",
    "tool_response": "tool",
}


def chat_template_role(role: str) -> str:
    """The role that chat templates know, for a role of ShareGPT data."""
    return _SHAREGPT_ROLES.get(role, role)


def is_plain(turn: Any) -> bool:
    """Whether a turn is already a message with only a role and a text."""
    return (
        type(turn) is dict
        and len(turn) == 2
        and turn.get("role") in _ROLES
        and type(turn.get("content")) is str
    )


def lacks_system(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the first message is not a system message."""
    return bool(messages[0]["role"] != "system")


def message_of(turn: Any, settings: SourceSettings) -> dict[str, Any]:
    """One turn of a row as a message.

    Raises:
        RowFault: If the turn is not a message.
    """
    if not isinstance(turn, Mapping):
        raise RowFault("turn-not-mapping", type(turn).__name__)
    names = settings.message_property_mappings
    role = turn.get(names.get("role", "role"), turn.get("from"))
    content = turn.get(names.get("content", "content"), turn.get("value"))
    message: dict[str, Any] = {
        "role": _role(role, settings.roles),
        "content": text_of(content),
    }
    for key in OPTIONAL_KEYS:
        value = turn.get(names.get(key, key))
        if value:
            message[key] = _tool_calls(value) if key == "tool_calls" else value
    for field in (settings.message_field_training, "train", "training", "weight"):
        if field is not None and isinstance(turn.get(field), (bool, int)):
            message["train"] = bool(turn[field])
            break
    return message


def text_of(content: Any) -> str:
    """The text of a message's content, which may be a list of text parts.

    Raises:
        RowFault: If the content is not text.
    """
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and part.get("type") == "text" for part in content
    ):
        return "".join(str(part.get("text", "")) for part in content)
    raise RowFault("content-not-text", type(content).__name__)


def check(messages: Sequence[Mapping[str, Any]]) -> None:
    """Check that a chat template accepts the messages.

    Raises:
        RowFault: If it does not.
    """
    before = None
    for place, message in enumerate(messages):
        role = message["role"]
        if role not in _ROLES:
            raise RowFault("role-unknown", repr(role))
        if "\0" in message["content"]:
            raise RowFault("nul")
        if role == "system":
            if place:
                raise RowFault("system-not-first")
            continue
        _check_order(before, role)
        before = message
    if before is None:
        raise RowFault("starts-without-user")
    if before["role"] != "assistant":
        raise RowFault("ends-without-answer")
    if not before["content"].strip() and not _allows_tool_message(before):
        raise RowFault("answer-empty")


def parse_json(text: str) -> Any:
    """The value of a column that contains JSON text.

    Raises:
        RowFault: If the text is not JSON.
    """
    try:
        return json.loads(text)
    except ValueError:
        raise RowFault("json-column") from None


def to_json(value: Any) -> str:
    """A value as JSON text, with its keys in a fixed order."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def as_list(value: Any) -> list[Any]:
    """The value, in a list if it is not one."""
    return value if isinstance(value, list) else [value]


def _role(role: Any, roles: Mapping[str, Sequence[str]]) -> str:
    if not isinstance(role, str):
        raise RowFault("role-missing")
    for wanted, written in roles.items():
        if role in written:
            return wanted
    return chat_template_role(role)


def _tool_calls(calls: Any) -> list[dict[str, Any]]:
    """Tool calls with their arguments as JSON text, as the keys differ per call."""
    if isinstance(calls, str):
        calls = parse_json(calls)
    found = []
    for call in as_list(calls):
        if not isinstance(call, Mapping):
            raise RowFault("tool-call-not-mapping")
        function = call.get("function", call)
        if not isinstance(function, Mapping) or not function.get("name"):
            raise RowFault("tool-call-unnamed")
        arguments = function.get("arguments", {})
        text = arguments if isinstance(arguments, str) else to_json(arguments)
        found.append(
            {
                "id": call.get("id"),
                "type": "function",
                "function": {"name": function["name"], "arguments": text},
            }
        )
    return found


def _check_order(before: Mapping[str, Any] | None, role: str) -> None:
    if before is None:
        if role != "user":
            raise RowFault("starts-without-user")
    elif role == before["role"] and role != "tool":
        raise RowFault("role-repeated", role)
    elif role == "tool" and not _allows_tool_message(before):
        raise RowFault("tool-uncalled")


def _allows_tool_message(before: Mapping[str, Any]) -> bool:
    return bool(before.get("tool_calls")) or before["role"] == "tool"
