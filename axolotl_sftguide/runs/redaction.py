"""A configuration that can be recorded: plain JSON without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_PASSWORD_IN_URL = re.compile(r"(\w://[^\s:/@]*:)[^\s/@]+@")
_SECRET = re.compile(
    r"(^|_)(secrets?|passwords?|passwd|credentials?|token)$"
    r"|(^|_)secret_|(^|_)(api|access|private|auth|license|secret|encryption)_?key(_id)?$"
)
_SPECIAL_TOKEN = re.compile(
    r"(^|_)(bos|eos|pad|unk|sep|cls|mask|bot|eot|boi|eoi|image|audio|video)_token$"
)


def json_safe(value: Any) -> Any:
    """A copy of a configuration as JSON values, with secrets replaced by `***`."""
    if isinstance(value, Mapping):
        return {
            str(k): "***" if _is_secret(str(k), v) else json_safe(v)
            for k, v in value.items()
        }
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [json_safe(v) for v in value]
    if isinstance(value, str):
        return _PASSWORD_IN_URL.sub(r"\1***@", value)
    try:
        json.dumps(value, allow_nan=False)
        return value
    except (TypeError, ValueError):
        return str(value)


def _is_secret(key: str, value: Any) -> bool:
    """Whether a key names a secret. Numbers, flags and `eos_token` are not secrets."""
    if not value or isinstance(value, (bool, int, float)):
        return False
    key = key.lower().replace("-", "_")
    return bool(_SECRET.search(key)) and not _SPECIAL_TOKEN.search(key)
