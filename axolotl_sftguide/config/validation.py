"""Blocks of settings, and what is wrong with them in one clear line each."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ..errors import Problem, SettingsError, nearest_hint


class Block(BaseModel):
    """A mapping of settings: frozen, strict, and without keys that nobody reads."""

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
        """`monitor:` with nothing below it reads as null in YAML."""
        if not isinstance(data, Mapping):
            return data
        return {
            key: value
            for key, value in data.items()
            if value is not None or key not in cls.model_fields
        }


def parse(model: type[Any], block: Any, path: str) -> Any:
    """A block from a plain mapping.

    Args:
        model: The block's class.
        block: What was written.
        path: The dotted path that error messages start with.

    Raises:
        SettingsError: With every problem found, one line each.
    """
    if not isinstance(block, Mapping):
        message = f"must be a mapping of settings, got {block!r}"
        raise SettingsError([Problem(path, message, "see the README")])
    try:
        return model.model_validate(block)
    except ValidationError as error:
        raise SettingsError(
            [_problem(path, model, fault) for fault in error.errors()]
        ) from None


def _problem(path: str, model: type[BaseModel], fault: Any) -> Problem:
    location = [str(part) for part in fault["loc"]]
    dotted = ".".join([path, *location])
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        hint = nearest_hint(location[-1], known)
        if hint:
            return Problem(dotted, "is not a setting", hint)
        return Problem(dotted, f"is not a setting (known: {', '.join(known)})")
    if fault["type"] == "missing":
        return Problem(dotted, "is missing: it has no default")
    if fault["type"] == "value_error":
        return Problem(dotted, str(fault["ctx"]["error"]), colon=True)
    message = f"{_rule(fault)}, got {fault['input']!r}"
    return Problem(dotted, message, _way_out(fault))


def _rule(fault: Any) -> str:
    if fault["type"] in ("model_type", "dict_type"):
        return "must be a mapping of settings"
    return str(fault["msg"]).replace("Input should", "must").replace("Keys", "keys")


def _way_out(fault: Any) -> str:
    """What to write for a number that YAML reads as text, such as `1e-1`."""
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
    return f"YAML takes it for text, write {written}"


def _yaml_float(text: str) -> str:
    """A number as YAML 1.1 wants it: with a dot, and a sign before the exponent."""
    mantissa, e, exponent = text.strip().lower().partition("e")
    mantissa += "" if "." in mantissa else ".0"
    sign = "+" if e and exponent[0].isdigit() else ""
    return f"{mantissa}{e}{sign}{exponent}"


def _keys_at(model: type[BaseModel], location: list[str]) -> list[str]:
    for part in location:
        if part.isdecimal():  # a place in a list of blocks
            continue
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *get_args(annotation)]
        model = next(
            c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)
        )
    return sorted(model.model_fields)
