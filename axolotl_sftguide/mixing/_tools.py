"""Tools and tool calls as JSON text, with their keys in the order of the source.

Arrow needs the same keys in each row, which arguments do not have. Chat templates
render the keys in their order, so that any other order is another prompt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..config.json_text import parse_json
from ._content import is_empty
from ._faults import RowFault

_CALL_KEYS = frozenset("id type index function name arguments parameters".split())


def tools_of(tools: Any, *, from_arrow: bool = False) -> str | None:
    """The tools of a row as JSON text, or None if it has none.

    Args:
        tools: A list of tools, or its JSON text.
        from_arrow: Whether missing keys are null, as in Parquet and Arrow files.

    Raises:
        RowFault: If it is not a list of JSON objects.
    """
    if isinstance(tools, str):
        if not tools.strip():
            return None
        parsed = _parsed(tools, "tools-not-json")
        if not parsed:
            return None
        _check_tools(parsed)
        return tools
    if not tools:
        return None
    if from_arrow:
        tools = without_nulls(tools)
    _check_tools(tools)
    return to_json(tools)


def tools_of_functions(functions: Any, *, from_arrow: bool = False) -> str | None:
    """The tools in the former `functions` column of OpenAI's chat data."""
    if isinstance(functions, str):
        functions = _parsed(functions, "tools-not-json") if functions.strip() else None
    if not functions:
        return None
    if not isinstance(functions, list):
        raise RowFault("tools-not-json", "functions")
    tools = [
        own
        if isinstance(own, Mapping) and "function" in own
        else {"type": "function", "function": own}
        for own in functions
    ]
    return tools_of(tools, from_arrow=from_arrow)


def tool_calls_of(calls: Any, *, from_arrow: bool = False) -> list[dict[str, Any]]:
    """Tool calls in OpenAI's form, with their arguments as JSON text.

    Raises:
        RowFault: If one has no name, or arguments that are not a JSON object.
    """
    if isinstance(calls, str):
        calls = _parsed(calls, "tool-call-not-mapping")
    return [
        _tool_call(call, from_arrow)
        for call in (calls if isinstance(calls, list) else [calls])
        if not is_no_call(call)
    ]


def is_no_call(value: Any) -> bool:
    """Whether there are no calls, or one that has no values.

    Arrow writes the keys of a call in another row as nulls.
    """
    if isinstance(value, list):
        return all(map(is_no_call, value))
    if not isinstance(value, dict):
        return is_empty(value)
    given = [v for k, v in value.items() if k not in ("type", "index")]
    return bool(given) and all(map(is_empty, given))


def is_tool_calls(value: Any) -> bool:
    """Whether a value, or its JSON text, is a list of calls with names."""
    calls = parsed_list(value)
    return bool(calls) and all(
        isinstance(call, dict)
        and "name" in call
        and ("arguments" in call or "parameters" in call)
        for call in calls
    )


def is_tools(value: Any) -> bool:
    """Whether a value, or its JSON text, is a list of tools that a model may call."""
    tools = parsed_list(value)
    return bool(tools) and all(
        isinstance(tool, dict)
        and ("function" in tool or ("name" in tool and not tool.keys() <= {"name"}))
        for tool in tools
    )


def parsed_list(value: Any) -> list[Any]:
    """A list, or the list in a JSON text; an empty one for anything else."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return []
        try:
            value = parse_json(value)
        except ValueError:
            return []
    return value if isinstance(value, list) else []


to_json = json.JSONEncoder(ensure_ascii=False, default=str).encode
"""A value as JSON text, with its keys in their order."""


def without_nulls(value: Any) -> Any:
    """The value without the nulls that Arrow writes for missing keys."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(part) for part in value]
    return value


def _tool_call(call: Any, from_arrow: bool) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise RowFault("tool-call-not-mapping")
    function = call.get("function")
    if isinstance(function, str):
        function = {**call, "name": function}
    elif function is None:
        function = call
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RowFault("tool-call-unnamed")
    for holder in (call, function):
        if holder.keys() <= _CALL_KEYS:
            continue
        unknown = sorted(k for k in holder.keys() - _CALL_KEYS if holder[k])
        if unknown:
            raise RowFault("tool-call-key", ", ".join(unknown))
    arguments = function.get("arguments")
    if arguments is None:
        arguments = function.get("parameters")
    return {
        "id": call.get("id"),
        "type": "function",
        "function": {
            "name": function["name"],
            "arguments": _arguments(arguments, from_arrow),
        },
    }


def _arguments(arguments: Any, from_arrow: bool) -> str:
    if arguments is None:
        return "{}"
    if isinstance(arguments, str):
        if not arguments.strip():
            return "{}"
        parsed = _parsed(arguments, "tool-arguments-not-json")
        if parsed is None:
            return "{}"
        if not isinstance(parsed, dict):
            raise RowFault("tool-arguments-not-json", arguments[:40])
        return arguments
    if not isinstance(arguments, dict):
        raise RowFault("tool-arguments-not-json", type(arguments).__name__)
    return to_json(without_nulls(arguments) if from_arrow else arguments)


def _parsed(text: str, code: Any) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        raise RowFault(code, text[:40]) from None


def _check_tools(tools: Any) -> None:
    if not isinstance(tools, list) or not all(isinstance(t, dict) for t in tools):
        raise RowFault("tools-not-json", type(tools).__name__)
