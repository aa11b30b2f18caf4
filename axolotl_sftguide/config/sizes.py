"""Sizes in bytes, written with a unit."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ByteSize, Field, TypeAdapter

from .validation import shown

_SIZE: TypeAdapter[ByteSize] = TypeAdapter(ByteSize)


def parse_size(value: Any) -> int:
    """The number of bytes of a size such as 24GiB; a bare number is in GiB.

    Raises:
        ValueError: If it is not a size.
    """
    text = str(value).strip()
    try:
        bare: float | None = float(text)
    except ValueError:
        bare = None
    try:
        if isinstance(value, bool) or (bare is not None and bare < 0):
            raise TypeError
        if bare is not None:
            return int(bare * 2**30)
        return int(_SIZE.validate_python(text))
    except (ValueError, TypeError, OverflowError):
        got = shown(value, 80)
        raise ValueError(f"must be a size such as 20GiB, got {got}") from None


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
"""A setting in bytes, written as a size."""
