"""A row of any form as one conversation, or the reason why it is none (pure)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..config.mix_settings import OF_THE_WHOLE, Form, SourceSettings

MOST_BYTES = 16 * 2**20
"""A longer row is no conversation that a 24 GB card trains on."""

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
_ROLES = ("system", "user", "assistant", "tool")
_OPTIONAL = ("reasoning_content", "tool_calls", "tool_call_id", "name")
_QUESTION = ("instruction", "prompt", "question", "query", "input")
_ANSWER = ("output", "completion", "answer", "response")


_BLANKS = bytes.maketrans(b"\t\n\v\f\r\x1c\x1d\x1e\x1f", b" " * 9)

_SPECIAL = frozenset("system tools chat_template_kwargs unmask metadata".split())
"""Columns that say more of a conversation than its messages do."""

_TELLS_NOTHING_OF_ROWS = frozenset(
    "path name split revision ds_type data_files where type "
    "share repeats max_rows max_tokens".split()
).union(OF_THE_WHOLE)


FaultCode = Literal[
    "answer-empty",
    "columns-unknown",
    "content-not-text",
    "ends-without-answer",
    "fields-missing",
    "file-breaks-off",
    "json-column",
    "not-json",
    "not-mapping",
    "nul",
    "question-or-answer-missing",
    "role-missing",
    "role-repeated",
    "role-unknown",
    "starts-without-user",
    "system-not-first",
    "tool-call-not-mapping",
    "tool-call-unnamed",
    "tool-uncalled",
    "too-long",
    "turn-not-mapping",
    "turns-missing",
    "unwritable",
    "wrong-type",
]
"""Every kind of fault. Faults are counted by it, whatever their text is."""

FAULTS: Mapping[FaultCode, str] = {
    "answer-empty": "the answer is empty",
    "columns-unknown": "no form is known for its columns",
    "content-not-text": "the content of a turn is no text",
    "ends-without-answer": "the last turn is not the assistant's",
    "fields-missing": "has not as many fields as the first line",
    "file-breaks-off": "the file cannot be read on",
    "json-column": "a column that should hold JSON does not",
    "not-json": "is not JSON",
    "not-mapping": "is no mapping of columns",
    "nul": "a NUL stands in the text",
    "question-or-answer-missing": (
        "has no column for the question, or none for the answer"
    ),
    "role-missing": "a turn has no role",
    "role-repeated": "two turns of one role follow one another",
    "role-unknown": "no template knows the role of a turn",
    "starts-without-user": "the first turn is not the user's",
    "system-not-first": "a system turn is not the first",
    "tool-call-not-mapping": "a tool call is no mapping",
    "tool-call-unnamed": "a tool call names no function",
    "tool-uncalled": "a tool answers that nobody has called",
    "too-long": "is too long",
    "turn-not-mapping": "a turn is no mapping",
    "turns-missing": "the turns are no list, or an empty one",
    "unwritable": "cannot be written",
    "wrong-type": "is not what its columns promise",
}
"""The text of each kind, as people and the manifest read it."""


class RowFault(Exception):
    """Why a row cannot be used.

    Args:
        code: The kind of the fault.
        detail: What is particular to this row, or an empty string.
    """

    def __init__(self, code: FaultCode, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code: FaultCode = code
        self.detail = detail

    def __str__(self) -> str:
        """The text of its kind, and the detail in brackets."""
        told = FAULTS[self.code]
        return f"{told} ({self.detail})" if self.detail else told


def detect(row: Mapping[str, Any], settings: SourceSettings) -> Form:
    """The form of a row, from the settings or from its columns.

    Raises:
        RowFault: Where it has none.
    """
    if settings.field_messages is not None:
        turns = row.get(settings.field_messages)
        return _form_of_turns(turns)
    if settings.field_instruction is not None or settings.field_output is not None:
        return "question_answer"
    if settings.type is not None and settings.type.split(".")[0] == "alpaca":
        return "alpaca"
    for column in ("messages", "conversations", "conversation"):
        if row.get(column) is not None:
            return _form_of_turns(row[column])
    if "instruction" in row and "output" in row:
        return "alpaca"
    if "prompt" in row and "completion" in row:
        return "prompt_completion"
    if _first(row, _QUESTION) and _first(row, _ANSWER):
        return "question_answer"
    raise RowFault("columns-unknown", ", ".join(sorted(row)[:8]))


def uniform(
    row: Mapping[str, Any], form: Form, settings: SourceSettings
) -> dict[str, Any]:
    """The conversation: `messages`, and `tools` and the like where the row has them.

    Raises:
        RowFault: Where it is none that a chat template accepts.
    """
    if form in ("messages", "sharegpt"):
        messages = _turns(row, settings)
    elif form == "prompt_completion" and isinstance(row["prompt"], list):
        messages = [
            _turn(t, settings) for t in [*row["prompt"], *_list(row["completion"])]
        ]
    else:
        messages = _question_and_answer(row, form, settings)
    if row.get("unmask") or _metadata(row).get("unmask"):
        for message in messages:
            message["train"] = message["role"] != "system"
    if settings.drop_system_message and messages and not _unled(messages):
        del messages[0]
    _check(messages)
    if settings.roles_to_train is not None:
        trained = {_SHAREGPT_ROLES.get(role, role) for role in settings.roles_to_train}
        for message in messages:
            message.setdefault("train", message["role"] in trained)
    found: dict[str, Any] = {"messages": messages}
    tools = row.get(settings.field_tools)
    if tools:
        found["tools"] = tools if isinstance(tools, str) else _json(tools)
    if row.get("chat_template_kwargs"):
        found["chat_template_kwargs"] = row["chat_template_kwargs"]
    return found


def conversation(
    row: Mapping[str, Any], settings: SourceSettings, usual: bool
) -> tuple[Form, dict[str, Any]]:
    """The form of a row, and its conversation.

    Args:
        row: The row.
        settings: Of its source.
        usual: What `is_usual` says of them; then rows of plain messages, which most
            are, take a short way to the same end.

    Raises:
        RowFault: Where it is none that a chat template accepts.
    """
    messages = row.get("messages")
    if usual and type(messages) is list and messages and not row.keys() & _SPECIAL:
        plain = [
            {"role": turn["role"], "content": turn["content"]}
            for turn in messages
            if _is_plain(turn)
        ]
        if len(plain) == len(messages):
            _check(plain)
            return "messages", {"messages": plain}
    form = detect(row, settings)
    return form, uniform(row, form, settings)


def is_usual(settings: SourceSettings) -> bool:
    """Whether rows are taken as they are: nothing says what their columns mean."""
    told = settings.model_dump(exclude_defaults=True)
    if told.get("type", "chat_template") != "chat_template":
        return False
    return not told.keys() - _TELLS_NOTHING_OF_ROWS


def fingerprint(conversation: Mapping[str, Any]) -> bytes:
    """Sixteen bytes that are the same where two conversations say the same.

    White space counts as one blank; ids, metadata and what is trained do not count.
    """
    parts: list[bytes] = []
    for message in conversation["messages"]:
        parts += (message["role"].encode(), _squeezed(message["content"]))
        if len(message) > 2:
            for key in _OPTIONAL:
                value = message.get(key)
                if value:
                    text = value if isinstance(value, str) else _json(value)
                    parts += (key.encode(), _squeezed(text))
    for key in ("tools", "chat_template_kwargs"):
        if key in conversation:
            parts += (key.encode(), _json(conversation[key]).encode())
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def _squeezed(text: str) -> bytes:
    """What `" ".join(text.split())` gives, sooner."""
    if not text.isascii():
        return " ".join(text.split()).encode()
    squeezed = text.encode().translate(_BLANKS)
    while (shorter := squeezed.replace(b"  ", b" ")) != squeezed:
        squeezed = shorter
    return squeezed.strip()


def passes(row: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Whether a row's columns have the wanted values."""
    for column, wanted in where.items():
        allowed = wanted if isinstance(wanted, list) else [wanted]
        if row.get(column) not in allowed:
            return False
    return True


def _form_of_turns(turns: Any) -> Form:
    if isinstance(turns, str):
        turns = _parsed(turns)
    if not isinstance(turns, list) or not turns:
        raise RowFault("turns-missing")
    first = turns[0]
    return "sharegpt" if isinstance(first, dict) and "from" in first else "messages"


def _turns(row: Mapping[str, Any], settings: SourceSettings) -> list[dict[str, Any]]:
    columns = ("messages", "conversations", "conversation")
    column = settings.field_messages or next(c for c in columns if row.get(c))
    turns = row.get(column)
    if isinstance(turns, str):
        turns = _parsed(turns)
    messages = [_turn(turn, settings) for turn in turns or ()]
    system = row.get(settings.field_system or "system")
    if isinstance(system, str) and system and messages and _unled(messages):
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _is_plain(turn: Any) -> bool:
    """Whether it is a role and a text and nothing else, as most are."""
    return (
        type(turn) is dict
        and len(turn) == 2
        and turn.get("role") in _ROLES
        and type(turn.get("content")) is str
    )


def _unled(messages: Sequence[Mapping[str, Any]]) -> bool:
    return bool(messages[0]["role"] != "system")


def _turn(turn: Any, settings: SourceSettings) -> dict[str, Any]:
    if not isinstance(turn, Mapping):
        raise RowFault("turn-not-mapping", type(turn).__name__)
    names = settings.message_property_mappings
    role = turn.get(names.get("role", "role"), turn.get("from"))
    content = turn.get(names.get("content", "content"), turn.get("value"))
    message: dict[str, Any] = {
        "role": _role(role, settings.roles),
        "content": _text(content),
    }
    for key in _OPTIONAL:
        value = turn.get(names.get(key, key))
        if value:
            message[key] = _tool_calls(value) if key == "tool_calls" else value
    for field in (settings.message_field_training, "train", "training", "weight"):
        if field is not None and isinstance(turn.get(field), (bool, int)):
            message["train"] = bool(turn[field])
            break
    return message


def _question_and_answer(
    row: Mapping[str, Any], form: Form, settings: SourceSettings
) -> list[dict[str, Any]]:
    question = settings.field_instruction or _first(row, _QUESTION)
    answer = settings.field_output or _first(row, _ANSWER)
    if not question or not answer:
        raise RowFault("question-or-answer-missing")
    asked = _text(row.get(question))
    extra = settings.field_input or ("input" if form == "alpaca" else None)
    if extra and extra != question and row.get(extra):
        asked = f"{asked}\n\n{_text(row[extra])}"
    messages = [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": _text(row.get(answer))},
    ]
    system = row.get(settings.field_system or "system")
    if isinstance(system, str) and system:
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _role(role: Any, roles: Mapping[str, Sequence[str]]) -> str:
    if not isinstance(role, str):
        raise RowFault("role-missing")
    for wanted, written in roles.items():
        if role in written:
            return wanted
    return _SHAREGPT_ROLES.get(role, role)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and part.get("type") == "text" for part in content
    ):
        return "".join(str(part.get("text", "")) for part in content)
    raise RowFault("content-not-text", type(content).__name__)


def _tool_calls(calls: Any) -> list[dict[str, Any]]:
    """With the arguments as JSON text: their keys differ from call to call."""
    if isinstance(calls, str):
        calls = _parsed(calls)
    found = []
    for call in _list(calls):
        if not isinstance(call, Mapping):
            raise RowFault("tool-call-not-mapping")
        function = call.get("function", call)
        if not isinstance(function, Mapping) or not function.get("name"):
            raise RowFault("tool-call-unnamed")
        arguments = function.get("arguments", {})
        text = arguments if isinstance(arguments, str) else _json(arguments)
        found.append(
            {
                "id": call.get("id"),
                "type": "function",
                "function": {"name": function["name"], "arguments": text},
            }
        )
    return found


def _check(messages: Sequence[Mapping[str, Any]]) -> None:
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
    if not before["content"].strip() and not _calls(before):
        raise RowFault("answer-empty")


def _check_order(before: Mapping[str, Any] | None, role: str) -> None:
    if before is None:
        if role != "user":
            raise RowFault("starts-without-user")
    elif role == before["role"] and role != "tool":
        raise RowFault("role-repeated", role)
    elif role == "tool" and not _calls(before):
        raise RowFault("tool-uncalled")


def _calls(message: Mapping[str, Any]) -> bool:
    return bool(message.get("tool_calls")) or message["role"] == "tool"


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            return {}
    return metadata if isinstance(metadata, Mapping) else {}


def _first(row: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    return next((column for column in columns if row.get(column) is not None), None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise RowFault("json-column") from None


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
