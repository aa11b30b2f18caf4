"""Values that a script fills in later, such as `${BASE_MODEL}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ._finding import Finding, Weight

_PLACEHOLDER = re.compile(r"\$\{[^}]+\}|\{\{[^}]+\}\}")
_TEXT = ("chat_template_jinja", "default_system_message", "tokens", "eot_tokens")
"""Keys whose values may look like a placeholder, and are none."""


def without_placeholders(
    config: Mapping[str, Any],
) -> tuple[dict[str, Any], list[Finding], set[str]]:
    """A config without placeholders, a note on them, and the keys that have one."""
    filled = {
        str(key)
        for key, value in config.items()
        if key not in _TEXT and _has_placeholder(value)
    }
    rest = {key: value for key, value in config.items() if key not in filled}
    if not filled:
        return rest, [], filled
    listed = ", ".join(sorted(filled)[:5])
    more = f" and {len(filled) - 5} more" if len(filled) > 5 else ""
    note = Finding(
        Weight.NOTE,
        "",
        None,
        f"The values of {listed}{more} are placeholders",
        "these keys were not checked",
        "Check the config that the script writes",
        id="placeholders",
    )
    return rest, [note], filled


def _has_placeholder(value: Any) -> bool:
    if isinstance(value, str):
        return _PLACEHOLDER.search(value) is not None
    if isinstance(value, Mapping):
        return any(
            _has_placeholder(entry) for key, entry in value.items() if key not in _TEXT
        )
    return isinstance(value, list) and any(map(_has_placeholder, value))
