"""Keys that occur twice in one mapping of a YAML document; only the last counts."""

from __future__ import annotations

from collections.abc import Iterator

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
    values: dict[str, str] = {}
    for key, value in node.value:
        name = str(key.value)
        line = key.start_mark.line + 1
        lost = values.get(name, "").lower() not in (*_EMPTY, _plain(value).lower())
        if name in lines and name != "<<" and lost:
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
        values[name] = _plain(value)
        yield from _in_node(value, f"{path}{name}.")


def _plain(node: yaml.Node) -> str:
    """A node's content, without its place in the file."""
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.MappingNode):
        return str([(_plain(key), _plain(value)) for key, value in node.value])
    return str([_plain(item) for item in node.value])
