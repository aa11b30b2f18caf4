"""A size of memory on the command line."""

from __future__ import annotations

from typing import Any

import click


class MemorySize(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Any size that pydantic reads; a bare number is GiB."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The size in bytes."""
        from pydantic import ByteSize, TypeAdapter, ValidationError

        text = str(value).strip()
        is_bare = text.replace(".", "", 1).isdigit()
        try:
            size = TypeAdapter(ByteSize).validate_python(
                f"{text}GiB" if is_bare else text
            )
        except ValidationError:
            self.fail(f"{value!r} is not a size; write 24GiB or 24GB", param, ctx)
        return int(size)
