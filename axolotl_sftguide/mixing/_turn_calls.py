"""The tool calls of a turn, in each place where data have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._content import parsed
from ._faults import RowFault, UnreadText
from ._tools import is_no_call, is_tool_calls, tool_calls_of

CALL_ROLES = ("function_call", "tool_call")
"""Roles of messages whose text is a tool call."""

_OF_CALLS = {"role", "content", "tool_calls"}


def calls_of_turn(
    turn: Mapping[str, Any], name: str, from_arrow: bool
) -> list[dict[str, Any]]:
    """The calls of a turn, under today's key or in the former `function_call`.

    Args:
        turn: The turn.
        name: The key of its tool calls.
        from_arrow: Whether missing keys are null, as in Parquet and Arrow files.

    Raises:
        RowFault: If they are not calls, or if the two keys have other calls.
    """
    calls, call = turn.get(name), turn.get("function_call")
    found: list[dict[str, Any]] = []
    if calls and not is_no_call(calls):
        found = tool_calls_of(calls, from_arrow=from_arrow)
    if not call or is_no_call(call):
        return found
    former = parsed(call) if isinstance(call, str) else [call]
    former = tool_calls_of(former, from_arrow=from_arrow)
    if found and [c["function"] for c in found] != [c["function"] for c in former]:
        raise UnreadText(("function_call",), "key")
    return found or former


def calls_in_content(
    content: str | dict[str, Any], from_arrow: bool
) -> list[dict[str, Any]]:
    """The calls in the content of a message of the role `function_call`."""
    calls = parsed(content) if isinstance(content, str) else [content]
    if not is_tool_calls(calls):
        raise RowFault("tool-call-unnamed", str(content)[:40])
    return tool_calls_of(calls, from_arrow=from_arrow)


def add_calls(answer: dict[str, Any], message: Mapping[str, Any]) -> bool:
    """Add the calls of a message to the answer before it, if that loses nothing."""
    if answer["role"] != "assistant" or not answer.keys() | message.keys() <= _OF_CALLS:
        return False
    answer["tool_calls"] = [*answer.get("tool_calls", ()), *message["tool_calls"]]
    return True
