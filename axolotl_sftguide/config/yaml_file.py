"""Reads YAML configs; an unreadable file is a one-line error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import Problem, SettingsError
from .yaml_edits import Edit, edited

_DEEPEST = 100
"""Levels of nested mappings and lists; recipes have seven."""

_TOO_DEEP = f"has more than {_DEEPEST} levels of nested lists and mappings"

_MOST_VALUES = 200_000
"""Values of a config; aliases can make billions of them from a few lines."""

_MOST_BITS = 1024
"""Of a whole number; a larger one is no floating-point number either."""

_LONGEST = 300
"""Characters of what PyYAML says."""


def read_config(path: str | Path) -> dict[str, Any]:
    """Read the mapping in a YAML file.

    Raises:
        SettingsError: If the file cannot be read or does not hold a mapping, or if no
            program could use its values.
    """
    text = read_text(path)
    try:
        loaded = parse_yaml(text)
    except ValueError as error:
        raise _refused(path, str(error)) from None
    if loaded is None:
        raise _refused(path, "is empty; it must be a mapping of keys to values")
    if not isinstance(loaded, dict):
        raise _refused(path, "must be a mapping of keys to values")
    return {str(key): value for key, value in loaded.items()}


class _Unusable(Exception):
    """Values that no program could use."""


def parse_yaml(text: str) -> Any:
    """What `yaml.safe_load` returns, with limits on size and depth.

    Raises:
        ValueError: If it is not valid YAML, or no program could use its values.
    """
    try:
        return _loaded(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except _Unusable as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # PyYAML raises whatever a tag's value leads to
        line = " ".join(_said(error).split())[:_LONGEST]
        raise ValueError(f"is not valid YAML ({line})") from None


def _said(error: Exception) -> str:
    """What PyYAML says, with the line where it stopped and without its excerpt."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or not problem:
        return str(error)
    if "'\\t'" in problem:
        return f"line {mark.line + 1}: a tab; indent with spaces"
    context = getattr(error, "context", None)
    return f"line {mark.line + 1}: {f'{context}: ' if context else ''}{problem}"


def _loaded(text: str) -> Any:
    """What `yaml.safe_load` returns; aliases are counted before they are expanded."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, "", {})
        loaded = loader.construct_document(node)
    finally:
        loader.dispose()
    _check_values(loaded, "")
    return loaded


def _count(node: yaml.Node, at: str, counted: dict[int, int], depth: int = 0) -> int:
    """The values in a node, each alias counted as what it stands for."""
    if isinstance(node, yaml.MappingNode):
        inside = [(_beneath(at, key), one) for key, v in node.value for one in (key, v)]
    elif isinstance(node, yaml.SequenceNode):
        inside = [(f"{at}.{i}", value) for i, value in enumerate(node.value)]
    else:
        return 1
    if counted.get(id(node)) == 0:
        raise _Unusable(
            f"has an alias at {at} to what contains it, so that it would be infinite; "
            "write the values out"
        )
    if depth > _DEEPEST:
        raise _Unusable(_TOO_DEEP)
    if id(node) not in counted:
        counted[id(node)] = 0  # until it is counted, to find what contains itself
        parts = [_count(one, path, counted, depth + 1) for path, one in inside]
        counted[id(node)] = 1 + sum(parts)
    if counted[id(node)] > _MOST_VALUES:
        raise _Unusable(
            f"has more than {_MOST_VALUES:,} values, most of them from aliases such "
            "as *name; write the needed values out"
        )
    return counted[id(node)]


def _beneath(at: str, key: Any) -> str:
    own = key.value[:40] if isinstance(key, yaml.ScalarNode) else "?"
    return f"{at}.{own}".lstrip(".")[-80:]


def _check_values(value: Any, at: str) -> None:
    """Refuse what no setting can hold, and no JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_values(key, at)
            _check_values(inner, f"{at}.{key!s:.40}".lstrip(".")[-80:])
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            _check_values(inner, f"{at}.{index}")
    elif isinstance(value, bytes):
        raise _Unusable(f"{at} is binary data (!!binary); write it as text")
    elif isinstance(value, str) and not _is_text(value):
        raise _Unusable(f"{at} has half a character (\\ud800 to \\udfff); remove it")
    elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
        digits = int((value.bit_length() - 1) * math.log10(2)) + 1
        raise _Unusable(
            f"{at} is a number of about {digits:,} digits, more than any setting can "
            "hold; write a smaller one"
        )


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_text(path: str | Path) -> str:
    """The text of a file.

    Raises:
        SettingsError: If the file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise _refused(
            path,
            f"is not UTF-8 text (byte 0x{byte:02x} on line {line}); save it as UTF-8",
        ) from None


def _refused(path: str | Path, message: str) -> SettingsError:
    return SettingsError([Problem(str(path), message)])


def with_values(text: str, values: Mapping[str, int]) -> str:
    """The text of a config with other numbers for some of its top-level keys.

    Everything else is unchanged. A key that is not in the text is appended.
    """
    return edited(text, [Edit("set", key, value) for key, value in values.items()])
