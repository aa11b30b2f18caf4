"""A hash of a conversation, equal for duplicates."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ..config.json_text import parse_json
from ._columns import Hashes

_KEYS = ("reasoning_content", "tool_calls", "tool_call_id", "name")
_WHITESPACE = bytes.maketrans(b"\t\n\v\f\r\x1c\x1d\x1e\x1f", b" " * 9)
_sorted = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str).encode
_INDENTED = re.compile("\n[ \t]")


def fingerprint(conversation: Mapping[str, Any]) -> bytes:
    """Sixteen bytes that are equal for conversations that are duplicates.

    Runs of whitespace count as one space, but the indentation of lines is content.
    Ids, metadata, training flags and the order of JSON keys are ignored.
    """
    parts: list[bytes] = []
    for message in conversation["messages"]:
        parts += (message["role"].encode(), _normalized(message["content"]))
        if len(message) > 2:
            for key in _KEYS:
                value = message.get(key)
                if value:
                    text = value if isinstance(value, str) else _sorted_calls(value)
                    parts += (key.encode(), _normalized(text))
    if "tools" in conversation:
        parts += (b"tools", _sorted_tools(conversation["tools"]))
    if "chat_template_kwargs" in conversation:
        kwargs = _sorted(conversation["chat_template_kwargs"])
        parts += (b"chat_template_kwargs", kwargs.encode())
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def question_fingerprint(question: str) -> bytes:
    """Sixteen bytes that are equal for the same first user message."""
    return hashlib.blake2b(_normalized(question), digest_size=16).digest()


def as_hashes(digests: bytearray) -> Hashes:
    """Fingerprints that follow one another, as an array of shape (n, 2)."""
    return np.frombuffer(bytes(digests), ">u8").reshape(-1, 2).astype(np.uint64)


@lru_cache(maxsize=64)
def _sorted_tools(tools: str) -> bytes:
    """The same for all rows of many datasets."""
    return _sorted(parse_json(tools)).encode()


def _sorted_calls(calls: list[dict[str, Any]]) -> str:
    return _sorted(
        [
            {
                **call,
                "function": {
                    **call["function"],
                    "arguments": _sorted(parse_json(call["function"]["arguments"])),
                },
            }
            for call in calls
        ]
    )


def _normalized(text: str) -> bytes:
    """The text with one space for each run of whitespace.

    A text with an indented line keeps its lines and their indentation.
    """
    if "\n" in text and _INDENTED.search(text):
        return _with_indentation(text.strip())
    if not text.isascii():
        return " ".join(text.split()).encode()
    # The same, but faster.
    normalized = text.encode().translate(_WHITESPACE)
    while (shorter := normalized.replace(b"  ", b" ")) != normalized:
        normalized = shorter
    return normalized.strip()


def _with_indentation(text: str) -> bytes:
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        words = line.split()
        if words:
            indentation = line[: len(line) - len(line.lstrip())]
            lines.append(indentation + " ".join(words))
    return "\n".join(lines).encode()
