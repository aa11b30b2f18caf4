"""Columns that contain whole conversations, and rows that contain several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..config.json_text import parse_json
from ._faults import RowFault

_PAIRS = (("input", "output"), ("human", "assistant"), ("user", "assistant"))
"""The keys of a turn with a question and its answer."""


def as_turns(value: Any, strict: bool = False) -> list[Any] | None:
    """The turns in a column: a list of them, its JSON text, or alternating texts.

    Args:
        value: The value of the column.
        strict: Whether a value that is not a list of turns is a fault.

    Raises:
        RowFault: With `strict`, if it is not a list of turns.
    """
    if isinstance(value, str):
        if not strict and not value.lstrip().startswith("["):
            return None
        try:
            value = parse_json(value)
        except ValueError:
            raise RowFault("json-column") from None
    if isinstance(value, Mapping):
        value = _rows_of_columns(value)
    if not isinstance(value, list) or not value:
        if strict:
            raise RowFault("turns-missing")
        return None
    if all(isinstance(turn, str) for turn in value):
        if len(value) < 2:
            return value if strict else None
        return [
            {"role": ("user", "assistant")[place % 2], "content": text}
            for place, text in enumerate(value)
        ]
    if not strict and not any(_is_turn(turn) for turn in value):
        return None
    return [part for turn in value for part in _parts(turn)]


def pairs(history: Any) -> list[dict[str, Any]]:
    """The messages of earlier questions and answers.

    Raises:
        RowFault: If it is not a list of pairs or of messages.
    """
    if isinstance(history, str):
        try:
            history = parse_json(history)
        except ValueError:
            raise RowFault("history-not-turns") from None
    found: list[dict[str, Any]] = []
    for turn in history if isinstance(history, list) else [None]:
        if isinstance(turn, Mapping):
            found += _parts(turn)
        elif (
            isinstance(turn, (list, tuple))
            and len(turn) == 2
            and all(isinstance(text, str) for text in turn)
        ):
            found.append({"role": "user", "content": turn[0]})
            found.append({"role": "assistant", "content": turn[1]})
        else:
            raise RowFault("history-not-turns")
    return found


def expanded(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The conversations of a row: the row, or each of those that it contains.

    `instances` are several inputs and outputs of one task. OpenAssistant's trees have
    several answers to one message.
    """
    instances = row.get("instances")
    if isinstance(instances, list) and instances:
        rest = {k: v for k, v in row.items() if k not in ("instances", "type")}
        for instance in instances:
            if isinstance(instance, Mapping):
                yield {**rest, **instance}
            else:
                yield {**rest, "instances": instance}
    elif _is_tree(row):
        rest = {k: v for k, v in row.items() if k != "prompt"}
        trained: set[int] = set()
        for path in _paths(row["prompt"], []):
            yield {**rest, "messages": [_node(n, trained) for n in path]}
    else:
        yield row


def _rows_of_columns(columns: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The turns in lists of roles and texts, as `datasets` stores a `Sequence`."""
    lists = {k: v for k, v in columns.items() if v is not None}
    lengths = {len(v) if isinstance(v, list) else -1 for v in lists.values()}
    if not {"role", "from"} & lists.keys() or len(lengths) != 1 or -1 in lengths:
        return None
    return [
        dict(zip(lists, turn, strict=True))
        for turn in zip(*lists.values(), strict=True)
    ]


def _is_turn(value: Any) -> bool:
    return isinstance(value, dict) and (
        "role" in value
        or "from" in value
        or any(q in value and a in value for q, a in _PAIRS)
    )


def _is_tree(row: Mapping[str, Any]) -> bool:
    prompt = row.get("prompt")
    return (
        "message_tree_id" in row and isinstance(prompt, Mapping) and "replies" in prompt
    )


def _paths(
    node: Mapping[str, Any], before: list[Mapping[str, Any]]
) -> Iterator[list[Mapping[str, Any]]]:
    """The paths from the root that end with an answer which nobody continued."""
    path = [*before, node]
    replies = node.get("replies")
    answered = replies if isinstance(replies, list) else []
    answered = [reply for reply in answered if isinstance(reply, Mapping)]
    found = False
    for reply in answered:
        for longer in _paths(reply, path):
            found = True
            yield longer
    if not found and node.get("role") == "assistant":
        yield path


def _node(node: Mapping[str, Any], trained: set[int]) -> dict[str, Any]:
    """A message of a tree. An answer that several paths share is trained on once."""
    turn = {"role": node.get("role"), "content": node.get("text")}
    if node.get("role") == "assistant":
        if id(node) in trained:
            turn["train"] = False
        trained.add(id(node))
    return turn


def _parts(turn: Any) -> list[Any]:
    """One turn, or the messages of one that has a question and its answer."""
    if not isinstance(turn, dict) or "role" in turn or "from" in turn:
        return [turn]
    for question, answer in _PAIRS:
        if question in turn and answer in turn:
            parts = [
                {"role": "user", "content": turn[question]},
                {"role": "assistant", "content": turn[answer]},
            ]
            if turn.get("system"):
                parts.insert(0, {"role": "system", "content": turn["system"]})
            rest = {
                k: v for k, v in turn.items() if k not in (question, answer, "system")
            }
            parts[-1] = {**rest, **parts[-1]}
            return parts
    return [turn]
