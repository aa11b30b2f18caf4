"""The order of the messages in a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config.roles import ROLES
from ._faults import RowFault


def lacks_system(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the first message is not a system message."""
    return bool(messages[0]["role"] != "system")


def check(messages: Sequence[Mapping[str, Any]]) -> None:
    """Check that a chat template accepts the messages.

    Raises:
        RowFault: If it does not.
    """
    before = None
    for place, message in enumerate(messages):
        role = message["role"]
        if role not in ROLES:
            raise RowFault("role-unknown", f"{role!r}; map it with roles")
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
    if before["role"] == "assistant":
        if not before["content"].strip() and not before.get("tool_calls"):
            raise RowFault("answer-empty")
    elif before["role"] != "tool":
        raise RowFault("ends-without-answer")


def _check_order(before: Mapping[str, Any] | None, role: str) -> None:
    if before is None:
        if role != "user":
            raise RowFault("starts-without-user")
    elif role == before["role"] and role != "tool":
        raise RowFault("role-repeated", role)
    elif role == "tool" and before["role"] == "user":
        raise RowFault("tool-uncalled")
