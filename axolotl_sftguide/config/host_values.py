"""Checks values against Axolotl's schema, as pydantic would when Axolotl loads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from ..errors import near
from .host_schema import HostSchema, with_aliases
from .validation import number_as_yaml, rules_of
from .validation import shown as shown_value

Kind = Literal["refused", "unknown", "missing"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A value that Axolotl refuses, or a nested key that it drops."""

    kind: Kind
    path: str
    value: Any
    message: str
    """A clause about the path, such as `must be a whole number, got 'two'`."""
    remedy: str = ""
    known: tuple[str, ...] = ()
    """For an unknown key: the keys that its mapping may have."""


def faults_of(schema: HostSchema, kind: Any, value: Any, path: str) -> Iterator[Fault]:
    """The faults of a value.

    Args:
        schema: Axolotl's schema.
        kind: A type expression of the schema.
        value: The value, as read from YAML.
        path: Its dotted path.
    """
    members = _members(kind)
    models = [m[1] for m in members if isinstance(m, list) and m[0] == "model"]
    if isinstance(value, Mapping) and models:
        yield from _best(schema, models, value, path)
        return
    lists = [m for m in members if isinstance(m, list) and m[0] == "list" and m[1:]]
    if isinstance(value, list) and lists and _holds_models(lists[0]):
        if not value and any(_limit(m) for m in members):
            yield Fault("refused", path, value, "must not be empty")
        for index, entry in enumerate(value):
            yield from faults_of(schema, lists[0][1], entry, f"{path}.{index}")
        return
    yield from _plain_faults(schema, kind, value, path, mapping=bool(models))


def mapping_faults(
    schema: HostSchema, model: str, value: Mapping[str, Any], path: str
) -> Iterator[Fault]:
    """The faults of a mapping that one model describes."""
    fields = with_aliases(schema.fields(model))
    for key, entry in value.items():
        at = f"{path}.{key}" if path else str(key)
        if key in fields:
            yield from field_faults(schema, fields[key], entry, at)
        elif schema.extra(model) != "allow":
            yield Fault("unknown", at, entry, "", known=tuple(fields))
    for key, field in schema.fields(model).items():
        names = {key, *field.get("aliases", ())}
        if field.get("required") and not names & value.keys():
            at = f"{path}.{key}" if path else key
            yield Fault("missing", at, None, "is required")


def field_faults(
    schema: HostSchema, field: Mapping[str, Any], value: Any, path: str
) -> Iterator[Fault]:
    """The faults of the value of one field, with the field's own limits."""
    kind, limits = field["type"], field.get("limits")
    yield from faults_of(
        schema, ["limited", kind, limits] if limits else kind, value, path
    )


def _best(
    schema: HostSchema, models: list[str], value: Mapping[str, Any], path: str
) -> list[Fault]:
    """The faults by the model of a union that fits best, as pydantic chooses it."""
    each = [list(mapping_faults(schema, model, value, path)) for model in models]
    return min(
        each, key=lambda found: (sum(f.kind != "unknown" for f in found), len(found))
    )


def _members(kind: Any) -> list[Any]:
    if isinstance(kind, list) and kind[0] == "union":
        return [m for member in kind[1:] for m in _members(member)]
    if isinstance(kind, list) and kind[0] == "limited":
        return [*_members(kind[1]), ["limits", kind[2]]]
    return [kind]


def _limit(member: Any) -> bool:
    return (
        isinstance(member, list) and member[0] == "limits" and "min_length" in member[1]
    )


def _holds_models(kind: Any) -> bool:
    return any(isinstance(m, list) and m[0] == "model" for m in _members(kind[1]))


def _plain_faults(
    schema: HostSchema, kind: Any, value: Any, path: str, *, mapping: bool
) -> Iterator[Fault]:
    closed = next(
        (m for m in _members(kind) if isinstance(m, list) and m[0] == "closed"), None
    )
    if closed is not None:
        yield from _closed_faults(schema.closed(closed[1]), closed[1], value, path)
        return
    if _is_plainly_valid(kind, value):
        return
    try:
        _adapter(json.dumps(kind)).validate_python(value)
    except ValidationError as error:
        found = error.errors(include_url=False)
    else:
        return
    rules = rules_of(found)
    if mapping and "must be a mapping" not in rules:
        rules = f"{rules} or a mapping"
    literals = [m for m in _members(kind) if isinstance(m, list) and m[0] == "literal"]
    close = near(str(value), [str(v) for m in literals for v in m[1:]])
    remedy = number_as_yaml(found[-1]) or (f"did you mean {close!r}?" if close else "")
    yield Fault("refused", path, value, f"{rules}, got {shown(value)}", remedy)


_OF_TYPES: dict[type, tuple[str, ...]] = {
    int: ("int", "float"),
    float: ("float",),
    bool: ("bool",),
    str: ("str",),
    type(None): ("none",),
}


def _is_plainly_valid(kind: Any, value: Any) -> bool:
    """Whether a value has one of the types as it is, without making a validator."""
    members = _members(kind)
    if any(isinstance(member, list) and member[0] == "limits" for member in members):
        return False
    names = ("any", *_OF_TYPES.get(type(value), ()))
    return any(member in names for member in members if isinstance(member, str))


def _closed_faults(
    known: tuple[str, ...], name: str, value: Any, path: str
) -> Iterator[Fault]:
    """A value that a validator of the host replaces, and accepts from a closed set."""
    of_hub = name == "attention" and isinstance(value, str) and "/" in value
    if value is None or value in known or of_hub:
        return
    close = near(str(value), known)
    remedy = f"did you mean {close!r}?" if close else ""
    listed = ", ".join(known)
    yield Fault(
        "refused", path, value, f"must be one of {listed}, got {shown(value)}", remedy
    )


def shown(value: Any, most: int = 60) -> str:
    """A value in a message, cut if it is long."""
    return shown_value(value, most)


@lru_cache(maxsize=512)
def _adapter(kind: str) -> TypeAdapter[Any]:
    """A validator for a type expression; pydantic's own rules for text and numbers."""
    lax = ConfigDict(arbitrary_types_allowed=True)
    annotation = _annotation(json.loads(kind))
    return TypeAdapter(annotation, config=lax)


_SIMPLE = {
    "any": Any,
    "none": None,
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "list": list,
    "dict": dict,
}


def _annotation(kind: Any) -> Any:
    """The Python type of a type expression; models are plain mappings here."""
    if isinstance(kind, str):
        return _SIMPLE[kind]
    name, inner = kind[0], kind[1:]
    if name == "union":
        return Union[tuple(_annotation(member) for member in inner)]  # noqa: UP007
    if name == "literal":
        return Literal[tuple(inner)]
    if name == "limited":
        return _limited(_annotation(inner[0]), inner[1])
    if name == "tuple":
        return tuple[tuple(_annotation(member) for member in inner)]  # type: ignore[misc]
    if name == "list":
        return list[_annotation(inner[0])] if inner else list  # type: ignore[misc]
    if name == "dict":
        types: Any = tuple(_annotation(member) for member in inner)
        return dict.__class_getitem__(types)
    return dict[str, Any]  # a model


def _limited(annotation: Any, limits: Mapping[str, Any]) -> Any:
    members = getattr(annotation, "__args__", ())
    if type(None) in members:  # a limit is for the value, and null stays valid
        rest: Any = Union[tuple(m for m in members if m is not type(None))]  # noqa: UP007
        return Optional[Annotated[rest, Field(**limits)]]  # noqa: UP045
    return Annotated[annotation, Field(**limits)]
