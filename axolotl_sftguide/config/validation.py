"""Validates blocks of settings and reports all problems, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ..errors import Problem, SettingsError, nearest_hint
from ..safe_text import masked


class Block(BaseModel):
    """A mapping of settings: frozen, strict, unknown keys refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_settings_are_defaults(cls, data: Any) -> Any:
        """YAML reads `monitor:` with nothing below it as null."""
        if not isinstance(data, Mapping):
            return data
        return {
            key: value
            for key, value in data.items()
            if value is not None or key not in cls.model_fields
        }


def shown(value: Any, most: int = 200) -> str:
    """A value in a message: without secrets, and cut if it is long."""
    try:
        text = masked(repr(value))  # before it is cut, so that no part of one is left
    except (RecursionError, ValueError):  # nested too deeply, or thousands of digits
        text = f"a {type(value).__name__} that is too large to show"
    return text if len(text) <= most else f"{text[: most - 3]}..."


def parse(model: type[Any], block: Any, path: str) -> Any:
    """Validate a plain mapping as a block of settings.

    Args:
        model: The block's class.
        block: The mapping, as loaded from YAML.
        path: The dotted path at which error messages start; may be empty.

    Raises:
        SettingsError: With every problem found, one line each.
    """
    if not isinstance(block, Mapping):
        message = f"must be a mapping of settings, got {shown(block)}"
        raise SettingsError([Problem(path, message, "See docs/settings.md")])
    try:
        return model.model_validate(block)
    except ValidationError as error:
        faults = error.errors()
    by_location: dict[tuple[str, ...], list[Any]] = {}
    for fault in faults:
        location = _without_union_member(model, [str(part) for part in fault["loc"]])
        by_location.setdefault(tuple(location), []).append(fault)
    raise SettingsError(
        [
            _problem(
                ".".join([path, *location] if path else location),
                model,
                location,
                of_one_value,
            )
            for location, of_one_value in by_location.items()
        ]
    )


def _problem(
    dotted: str, model: type[BaseModel], location: Sequence[str], faults: list[Any]
) -> Problem:
    """The problem of one value; a union has a fault for each of its members."""
    fault = faults[0]
    if fault["type"] == "extra_forbidden":
        known = sorted(_model_at(model, location[:-1]).model_fields)
        hint = nearest_hint(location[-1], known)
        return Problem(dotted, "is not a setting", hint or f"Known: {', '.join(known)}")
    if fault["type"] == "missing":
        return Problem(dotted, "is required")
    if fault["type"] == "value_error":
        return Problem(dotted, str(fault["ctx"]["error"]))
    message = f"{rules_of(faults)}, got {shown(fault['input'])}"
    return Problem(dotted, message, number_as_yaml(faults[-1]))


def rules_of(faults: Sequence[Any]) -> str:
    """What a value must be, from pydantic's errors for each member of its union."""
    rules = list(dict.fromkeys(map(_rule, faults)))
    if _RULES["float_type"] in rules:  # which a whole number is, too
        rules = [rule for rule in rules if rule != _RULES["int_type"]]
    return " or ".join([rules[0], *(r.removeprefix("must be ") for r in rules[1:])])


_RULES = {
    "model_type": "must be a mapping of settings",
    "dict_type": "must be a mapping",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "none_required": "must be empty",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_short": "must not be empty",
    "invalid_key": "must have a string as its key",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be greater than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be {expected}",
}
"""By the type of pydantic's error."""


def _rule(fault: Any) -> str:
    rule = _RULES.get(fault["type"])
    if rule is None:
        return str(fault["msg"]).replace("Input should", "must")
    return rule.format(**fault.get("ctx", {}))


def number_as_yaml(fault: Any) -> str:
    """How to write a number that YAML reads as text, such as `1e-1`."""
    text = fault["input"]
    if fault["type"] not in ("float_type", "int_type") or not isinstance(text, str):
        return ""
    try:
        value = float(text)
    except ValueError:
        return ""
    if not isfinite(value) or (fault["type"] == "int_type" and value % 1):
        return ""
    written = f"{value:.0f}" if fault["type"] == "int_type" else _yaml_float(text)
    return f"YAML reads this as text, write {written}"


def _yaml_float(text: str) -> str:
    """A number in YAML 1.1: with a dot, and a sign before the exponent."""
    mantissa, e, exponent = text.strip().lower().partition("e")
    mantissa += "" if "." in mantissa else ".0"
    sign = "+" if e and exponent[0].isdigit() else ""
    return f"{mantissa}{e}{sign}{exponent}"


def _model_at(model: type[BaseModel], location: Sequence[str]) -> type[BaseModel]:
    """The block of settings at a location inside of another."""
    for part in location:
        if part.isdecimal():  # an index in a list of blocks
            continue
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *get_args(annotation)]
        model = next(
            c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)
        )
    return model


def _without_union_member(model: type[BaseModel], location: list[str]) -> list[str]:
    """The location without the name that pydantic adds for a member of a union."""
    for index, part in enumerate(location):
        if part.isdecimal():
            continue
        field = model.model_fields.get(part)
        if field is None:  # an unknown key, or a key of a plain mapping
            return location
        members = {*get_args(field.annotation)} - {type(None)}
        if get_origin(field.annotation) in (Union, UnionType) and len(members) > 1:
            return location[: index + 1]
        try:
            model = _model_at(model, [part])
        except StopIteration:
            return location
    return location
