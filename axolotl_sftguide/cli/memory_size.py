"""A size of memory on the command line."""

from __future__ import annotations

from typing import Any

import click


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
        if size <= 0:
            self.fail(f"{value!r} is not a size; write 24GiB or 24GB", param, ctx)
        return size
