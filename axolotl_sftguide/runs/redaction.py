"""What is recorded: plain JSON without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..safe_text import MASK, masker, names_a_secret


def json_safe(value: Any) -> Any:
    """A copy of a configuration as JSON values, with secrets replaced by `***`."""
    mask = masker()
    return _without_secrets(value, mask, lambda other: _as_json(other, mask))


def recordable(value: Any) -> Any:
    """A copy without secrets, and without characters that no database can hold.

    Texts of more than 100,000 characters are cut. All other values stay what they are.
    """
    mask = masker()

    def stored(text: str) -> str:
        text = _NOT_STORED.sub("\ufffd", mask(text))
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

    return _without_secrets(value, stored, lambda other: other)


_LONGEST = 100_000
"""Characters of a text; the longest chat templates have 20,000."""
_NOT_STORED = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL stores no NUL, and UTF-8 has no halves of surrogate pairs."""


def _without_secrets(
    value: Any, mask: Callable[[str], str], other: Callable[[Any], Any]
) -> Any:
    if isinstance(value, Mapping):
        return {
            mask(str(k)): MASK
            if _is_secret(str(k), v)
            else _without_secrets(v, mask, other)
            for k, v in value.items()
        }
    if isinstance(value, (set, frozenset)):
        return sorted(mask(str(v)) for v in value)
    if isinstance(value, (list, tuple)):
        return [_without_secrets(v, mask, other) for v in value]
    return mask(value) if isinstance(value, str) else other(value)


def _as_json(value: Any, mask: Callable[[str], str]) -> Any:
    try:
        json.dumps(value, allow_nan=False)
        return value
    except (TypeError, ValueError):
        return mask(str(value))


def _is_secret(key: str, value: Any) -> bool:
    """Whether a key names a secret. Numbers, flags and `eos_token` are not secrets."""
    if not value or isinstance(value, (bool, int, float)):
        return False
    return names_a_secret(key)
