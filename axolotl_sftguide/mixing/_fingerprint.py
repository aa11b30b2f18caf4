"""A hash of a conversation, equal for duplicates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ._messages import OPTIONAL_KEYS, to_json

_WHITESPACE = bytes.maketrans(b"\t\n\v\f\r\x1c\x1d\x1e\x1f", b" " * 9)


def fingerprint(conversation: Mapping[str, Any]) -> bytes:
    """Sixteen bytes that are equal for conversations that are duplicates.

    Runs of whitespace count as one space. Ids, metadata and training flags are ignored.
    """
    parts: list[bytes] = []
    for message in conversation["messages"]:
        parts += (message["role"].encode(), _normalized(message["content"]))
        if len(message) > 2:
            for key in OPTIONAL_KEYS:
                value = message.get(key)
                if value:
                    text = value if isinstance(value, str) else to_json(value)
                    parts += (key.encode(), _normalized(text))
    for key in ("tools", "chat_template_kwargs"):
        if key in conversation:
            parts += (key.encode(), to_json(conversation[key]).encode())
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def _normalized(text: str) -> bytes:
    """The same as `" ".join(text.split())`, but faster for ASCII text."""
    if not text.isascii():
        return " ".join(text.split()).encode()
    normalized = text.encode().translate(_WHITESPACE)
    while (shorter := normalized.replace(b"  ", b" ")) != normalized:
        normalized = shorter
    return normalized.strip()
