"""A size of memory on the command line."""

from __future__ import annotations

from typing import Any

import click

MOST_BYTES = 2**60


class MemorySize(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Any size that pydantic reads; a bare number is GiB."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The size in bytes."""
        from ..config.sizes import parse_size

        try:
            size = parse_size(value)
        except ValueError:
            size = 0
        if not 0 < size <= MOST_BYTES:
            shown = value if len(str(value)) < 40 else f"{str(value)[:40]}..."
            self.fail(f"{shown!r} is not a size; write 24GiB or 24GB", param, ctx)
        return size
