"""DeepSpeed's settings, as a config names them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .json_text import parse_json


def deepspeed_settings(value: Any) -> Mapping[str, Any] | None:
    """The settings in a mapping or a JSON file; None if they are not available.

    Args:
        value: What the config gives as `deepspeed`.
    """
    if isinstance(value, Mapping):
        return value
    try:
        found = parse_json(Path(value).read_text(encoding="utf-8")) if value else None
    except (OSError, TypeError, ValueError):
        return None
    return found if isinstance(found, Mapping) else None
