"""Changes single entries of a YAML document; the rest stays byte for byte.

PyYAML tells where each key and value is. Writing the document anew, as ruamel.yaml
does, would reformat lists and move comments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a document."""

    action: Literal["set", "remove", "rename"]
    path: str
    """The dotted path of the entry."""
    value: Any = None
    """The new value, or for `rename` the new name of the key."""

    def __str__(self) -> str:
        """In words: `removed a`, `renamed a to b` or `set a: 1`."""
        if self.action == "remove":
            return f"removed {self.path}"
        if self.action == "rename":
            return f"renamed {self.path} to {self.value}"
        return f"set {self.path}: {on_one_line(self.value)}"


def edited(text: str, edits: Iterable[Edit]) -> str:
    """A YAML mapping with some of its entries changed, removed or renamed.

    An entry to set that does not exist is appended if it is at the top level. An entry
    to remove or rename that does not exist is left out.
    """
    for edit in edits:
        text = _applied(text, edit)
    return text


def _applied(text: str, edit: Edit) -> str:
    parts = edit.path.split(".")
    found = _entry(yaml.compose(text), parts)
    if found is None:
        if edit.action == "set" and len(parts) == 1:
            return f"{text.rstrip()}\n{edit.path}: {on_one_line(edit.value)}\n"
        return text
    parent, key, value = found
    if edit.action == "rename":
        return _replaced(text, key, str(edit.value))
    if edit.action == "set":
        new = on_one_line(edit.value)
        empty = value.start_mark.index == value.end_mark.index
        return _replaced(text, value, f" {new}" if empty else new)
    return _without(text, parent, key, value)


def on_one_line(value: Any) -> str:
    """A value as YAML writes it on one line; 2.0e-05, for 2e-05 is text to YAML 1.1."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf)
    return str(text).removesuffix("...\n").strip()


Entry = tuple[yaml.MappingNode, yaml.Node, yaml.Node]


def _entry(root: yaml.Node | None, parts: Sequence[str]) -> Entry | None:
    """The mapping that holds an entry, its key and its value."""
    node, found = root, None
    for part in parts:
        if isinstance(node, yaml.SequenceNode):
            inside = part.isdecimal() and int(part) < len(node.value)
            node, found = (node.value[int(part)], None) if inside else (None, None)
        elif isinstance(node, yaml.MappingNode):
            pairs = [(k, v) for k, v in node.value if k.value == part]
            if not pairs:
                return None
            found = (node, *pairs[-1])
            node = pairs[-1][1]
        else:
            return None
    return found


def _replaced(text: str, node: yaml.Node, new: str) -> str:
    return f"{text[: node.start_mark.index]}{new}{text[node.end_mark.index :]}"


def _without(
    text: str, parent: yaml.MappingNode, key: yaml.Node, value: yaml.Node
) -> str:
    """The text without one entry, and without the comma or the line that it leaves."""
    start, end = key.start_mark.index, value.end_mark.index
    if parent.flow_style:
        after = text[end:]
        stripped = after.lstrip()
        if stripped.startswith(","):
            end += len(after) - len(stripped) + 1
            end += len(text[end:]) - len(text[end:].lstrip(" "))
        else:
            before = text[:start].rstrip()
            start = len(before) - before.endswith(",")
        return text[:start] + text[end:]
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip():  # the first entry of an item in a list
        others = [k for k, _ in parent.value if k is not key]
        stop = others[0].start_mark.index if others else end
        return text[:start] + text[stop:]
    trimmed = text[:end].rstrip()  # a block value ends before the next key
    stop = text.find("\n", len(trimmed))
    return text[:line] + ("" if stop < 0 else text[stop + 1 :])
