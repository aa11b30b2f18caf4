"""Keys that occur twice in one mapping of a YAML document; only the last counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ._finding import Finding, Weight

_EMPTY = ("", "~", "null", "false", "no", "off")


def repeated_keys(text: str) -> list[Finding]:
    """Findings on keys that a later line of the same mapping replaces."""
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return []
    try:
        return list(_in_node(root, ""))
    except RecursionError:  # an alias inside of its own anchor
        return []


def _in_node(node: yaml.Node | None, path: str) -> Iterator[Finding]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _in_node(item, f"{path}{index}.")
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    values: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = str(key.value)
        line = key.start_mark.line + 1
        before = values.get(name)
        lost = before is not None and not _is_empty(before) and not _same(before, value)
        if name != "<<" and lost:
            yield Finding(
                Weight.WRONG,
                path + name,
                None,
                f"{path}{name} is set on line {lines[name]} and again on line {line}",
                f"line {lines[name]} has no effect",
                "Keep one of them",
                id="key-twice",
            )
        lines[name] = line
        values[name] = value
        yield from _in_node(value, f"{path}{name}.")


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value.lower() in _EMPTY


def _same(one: Any, other: Any) -> bool:
    """Whether two nodes, or pairs of them, have the same content."""
    if isinstance(one, yaml.ScalarNode) and isinstance(other, yaml.ScalarNode):
        return bool(one.value.lower() == other.value.lower())
    if type(one) is not type(other):
        return False
    parts = [one, other]
    if isinstance(one, yaml.CollectionNode):
        parts = [one.value, other.value]
    return len(parts[0]) == len(parts[1]) and all(map(_same, *parts))
