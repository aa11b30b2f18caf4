"""A size of memory on the command line."""

from __future__ import annotations

from typing import Any

import click

_MOST_BYTES = 2**60


class MemorySize(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Any size that pydantic reads; a bare number is GiB."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The size in bytes."""
        size = bytes_of(value)
        if size is None:
            text = value if len(str(value)) < 40 else f"{str(value)[:40]}..."
            self.fail(f"{text!r} is not a size; write 24GiB or 24GB", param, ctx)
        return size


def bytes_of(value: Any) -> int | None:
    """The bytes of a size of memory; None if it is no such size."""
    from ..config.sizes import parse_size

    try:
        size = parse_size(value)
    except ValueError:
        return None
    return size if 0 < size <= _MOST_BYTES else None
