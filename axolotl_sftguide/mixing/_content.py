"""The content of a message: text, parts of text, and which of it is trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..config.json_text import parse_json
from ._faults import RowFault, UnreadText

FLAGS = ("train", "training", "weight", "loss", "loss_weight")
"""Keys that say whether a message, or a part of one, is trained on."""

_KEYS = ("text", "content", "value")
_TEXT_PARTS = (None, "text", "input_text", "output_text")
_PART_METADATA = frozenset(
    "type id index annotations cache_control citations logprobs".split()
)


def flag(key: str, value: Any) -> bool:
    """A training flag as a boolean.

    Raises:
        RowFault: If it is neither a boolean nor a number, or negative.
    """
    if not isinstance(value, (bool, int, float)) or math.isnan(value):
        raise RowFault("flag-not-boolean", f"{key}: {str(value)[:40]!r}")
    if value < 0:
        raise RowFault("flag-negative", f"{key}: {value}")
    return bool(value)


def flag_in(own: Mapping[str, Any]) -> bool | None:
    """The training flag of a message or a part, under any of its keys.

    Raises:
        RowFault: If it is of another kind, or if several disagree.
    """
    flags = {k: flag(k, own[k]) for k in FLAGS if own.get(k) is not None}
    if len(set(flags.values())) > 1:
        raise RowFault("flags-disagree", ", ".join(flags))
    return next(iter(flags.values()), None)


def is_weight(value: Any) -> bool:
    """Whether a flag is a weight other than 0 and 1, which no host supports."""
    return isinstance(value, (int, float)) and value not in (0, 1)


def text_of(content: Any) -> str:
    """The text of a message's content, which may be a list of text parts.

    Raises:
        RowFault: If the content is not text.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RowFault("content-not-text", type(content).__name__)
    return "".join(map(_text_of_part, content))


def parts_of(parts: Sequence[Any]) -> tuple[list[Any], str, list[Any]]:
    """The text parts of an answer, its reasoning, and its tool calls.

    Raises:
        RowFault: If a part of reasoning follows another part.
    """
    texts: list[Any] = []
    thoughts: list[str] = []
    calls: list[Any] = []
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in ("reasoning", "thinking"):
            text = next((part[k] for k in (kind, *_KEYS) if k in part), None)
            if texts or calls or not isinstance(text, str):
                raise RowFault("content-not-text", f"a part of type {kind}")
            thoughts.append(text)
        elif kind == "tool_call":
            value = next((part[k] for k in (kind, *_KEYS) if k in part), part)
            calls += parsed(value) if isinstance(value, str) else [value]
        elif kind == "tool_use":
            own = {"id": part.get("id"), "name": part.get("name")}
            calls.append({**own, "arguments": part.get("input")})
        else:
            texts.append(part)
    return texts, "".join(thoughts), calls


def repeats_reasoning(turn: Mapping[str, Any]) -> bool:
    """Whether OpenRouter's `reasoning_details` only repeat the reasoning."""
    details = turn["reasoning_details"]
    own = [part for part in details if isinstance(part, Mapping)]
    texts = [part.get("text") or part.get("summary") or "" for part in own]
    reasoning = turn.get("reasoning") or turn.get("reasoning_content") or ""
    return len(own) == len(details) and all(
        isinstance(text, str) and text.strip() in reasoning for text in texts
    )


def parsed(text: str) -> list[Any]:
    """The tool calls in a JSON text.

    Raises:
        RowFault: If it is not JSON.
    """
    try:
        value = parse_json(text)
    except ValueError:
        raise RowFault("tool-call-not-mapping", text[:40]) from None
    return value if isinstance(value, list) else [value]


def parts_detail(parts: Sequence[Any]) -> list[dict[str, Any]] | None:
    """Which parts of a text are trained on, if its parts have flags.

    The form is the one of Axolotl's `message_field_training_detail`.
    """
    flags = [flag_in(part) if isinstance(part, Mapping) else None for part in parts]
    if all(own is None for own in flags):
        return None
    detail, offset = [], 0
    for part, trained in zip(parts, flags, strict=True):
        text = _text_of_part(part)
        if not text:
            continue
        detail.append(
            {
                "begin_offset": offset,
                "end_offset": offset + len(text) - 1,
                "train": trained is not False,
                "text": text,
            }
        )
        offset += len(text)
    return detail


def named_detail(key: str, value: Any, text: str) -> list[dict[str, Any]]:
    """Which characters of a text are trained on, in Axolotl's own form.

    Args:
        key: The key of the message, for the fault.
        value: The ranges of characters, each with its flag.
        text: The text.

    Raises:
        RowFault: If it is in another form.
    """
    detail = []
    for part in value if isinstance(value, list) else [None]:
        own = part if isinstance(part, Mapping) else {}
        begin, end = own.get("begin_offset"), own.get("end_offset")
        if type(begin) is not int or type(end) is not int or "train" not in own:
            raise RowFault("flag-not-boolean", key)
        detail.append(
            {
                "begin_offset": begin,
                "end_offset": end,
                "train": flag(key, own["train"]),
                "text": text[begin : end + 1],
            }
        )
    return detail


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, or a text or a container without content."""
    if isinstance(value, str):
        return value.strip() in ("", "[]", "{}", "null")
    if isinstance(value, dict):
        return all(is_empty(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return all(is_empty(part) for part in value)
    return value is None


def _text_of_part(part: Any) -> str:
    if not isinstance(part, Mapping):
        raise RowFault("content-not-text", f"list of {type(part).__name__}")
    kind = part.get("type")
    if kind not in _TEXT_PARTS:
        raise RowFault("content-not-text", f"a part of type {kind}")
    texts = {k: part[k] for k in _KEYS if isinstance(part.get(k), str) and part[k]}
    unread = sorted(
        key
        for key, value in part.items()
        if key not in texts
        and key not in FLAGS
        and key not in _PART_METADATA
        and not is_empty(value)
    )
    if unread and not texts:
        raise RowFault("content-not-text", f"a part with {', '.join(unread)}")
    if len(set(texts.values())) > 1:  # only the first one would be read
        unread += list(texts)[1:]
    if unread:
        raise UnreadText(unread, "key")
    return next(iter(texts.values()), "")
