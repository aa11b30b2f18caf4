"""The forms of dataset rows (messages, ShareGPT, Alpaca, ...) as one conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..config.mix_settings import HOST_KEYS, Form, SourceSettings
from ._faults import RowFault
from ._messages import (
    as_list,
    chat_template_role,
    check,
    is_plain,
    lacks_system,
    message_of,
    parse_json,
    text_of,
    to_json,
)

_TURNS = ("messages", "conversations", "conversation")
_QUESTION = ("instruction", "prompt", "question", "query", "input")
_ANSWER = ("output", "completion", "answer", "response")

_EXTRAS = frozenset("system tools chat_template_kwargs unmask metadata".split())
"""Columns that add to a conversation what its messages do not contain."""

_CHANGE_NO_ROW = frozenset(
    "path name split revision ds_type data_files where type "
    "share repeats max_rows max_tokens".split()
).union(HOST_KEYS)
"""Settings of a source that change no row of it."""


def conversation(
    row: Mapping[str, Any], settings: SourceSettings, plain: bool
) -> tuple[Form, dict[str, Any]]:
    """The form of a row, and its conversation.

    Args:
        row: The row.
        settings: The settings of its source.
        plain: The result of `has_plain_settings`. If true, rows of plain messages, the
            most frequent kind, take a shorter path to the same result.

    Raises:
        RowFault: If the row is not a conversation that a chat template accepts.
    """
    messages = row.get("messages")
    if plain and type(messages) is list and messages and not row.keys() & _EXTRAS:
        found = [
            {"role": turn["role"], "content": turn["content"]}
            for turn in messages
            if is_plain(turn)
        ]
        if len(found) == len(messages):
            check(found)
            return "messages", {"messages": found}
    form = detect(row, settings)
    return form, uniform(row, form, settings)


def has_plain_settings(settings: SourceSettings) -> bool:
    """Whether no setting of a source changes how its rows are read."""
    given = settings.model_dump(exclude_defaults=True)
    if given.get("type", "chat_template") != "chat_template":
        return False
    return not given.keys() - _CHANGE_NO_ROW


def detect(row: Mapping[str, Any], settings: SourceSettings) -> Form:
    """The form of a row, from the settings or from its columns.

    Raises:
        RowFault: If no known form has its columns.
    """
    if settings.field_messages is not None:
        return _form_of_turns(row.get(settings.field_messages))
    if settings.field_instruction is not None or settings.field_output is not None:
        return "question_answer"
    if settings.type is not None and settings.type.split(".")[0] == "alpaca":
        return "alpaca"
    for column in _TURNS:
        if row.get(column) is not None:
            return _form_of_turns(row[column])
    if "instruction" in row and "output" in row:
        return "alpaca"
    if "prompt" in row and "completion" in row:
        return "prompt_completion"
    if _first_filled(row, _QUESTION) and _first_filled(row, _ANSWER):
        return "question_answer"
    raise RowFault("columns-unknown", ", ".join(sorted(row)[:8]))


def uniform(
    row: Mapping[str, Any], form: Form, settings: SourceSettings
) -> dict[str, Any]:
    """The conversation: `messages`, and `tools` and the like if the row has them.

    Raises:
        RowFault: If the row is not a conversation that a chat template accepts.
    """
    if form in ("messages", "sharegpt"):
        messages = _from_turns(row, settings)
    elif form == "prompt_completion" and isinstance(row["prompt"], list):
        turns = [*row["prompt"], *as_list(row["completion"])]
        messages = [message_of(turn, settings) for turn in turns]
    else:
        messages = _from_question(row, form, settings)
    if row.get("unmask") or _metadata(row).get("unmask"):
        for message in messages:
            message["train"] = message["role"] != "system"
    if settings.drop_system_message and messages and not lacks_system(messages):
        del messages[0]
    check(messages)
    if settings.roles_to_train is not None:
        trained = {chat_template_role(role) for role in settings.roles_to_train}
        for message in messages:
            message.setdefault("train", message["role"] in trained)
    found: dict[str, Any] = {"messages": messages}
    tools = row.get(settings.field_tools)
    if tools:
        found["tools"] = tools if isinstance(tools, str) else to_json(tools)
    if row.get("chat_template_kwargs"):
        found["chat_template_kwargs"] = row["chat_template_kwargs"]
    return found


def _form_of_turns(turns: Any) -> Form:
    if isinstance(turns, str):
        turns = parse_json(turns)
    if not isinstance(turns, list) or not turns:
        raise RowFault("turns-missing")
    first = turns[0]
    return "sharegpt" if isinstance(first, dict) and "from" in first else "messages"


def _from_turns(
    row: Mapping[str, Any], settings: SourceSettings
) -> list[dict[str, Any]]:
    column = settings.field_messages or next(c for c in _TURNS if row.get(c))
    turns = row.get(column)
    if isinstance(turns, str):
        turns = parse_json(turns)
    messages = [message_of(turn, settings) for turn in turns or ()]
    system = row.get(settings.field_system or "system")
    if isinstance(system, str) and system and messages and lacks_system(messages):
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _from_question(
    row: Mapping[str, Any], form: Form, settings: SourceSettings
) -> list[dict[str, Any]]:
    question = settings.field_instruction or _first_filled(row, _QUESTION)
    answer = settings.field_output or _first_filled(row, _ANSWER)
    if not question or not answer:
        raise RowFault("question-or-answer-missing")
    prompt = text_of(row.get(question))
    extra = settings.field_input or ("input" if form == "alpaca" else None)
    if extra and extra != question and row.get(extra):
        prompt = f"{prompt}\n\n{text_of(row[extra])}"
    messages = [
        {"role": "user", "content": prompt},
        {"role": "assistant", "content": text_of(row.get(answer))},
    ]
    system = row.get(settings.field_system or "system")
    if isinstance(system, str) and system:
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    if isinstance(metadata, str):
        try:
            metadata = json.loads(metadata)
        except ValueError:
            return {}
    return metadata if isinstance(metadata, Mapping) else {}


def _first_filled(row: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    return next((column for column in columns if row.get(column) is not None), None)
