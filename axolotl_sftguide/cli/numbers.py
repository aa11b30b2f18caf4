"""Numbers on the command line: finite, and of a size that can be computed with."""

from __future__ import annotations

import math
from typing import Any

import click

MOST_GPUS = 100_000
MOST_SEED = 2**32 - 1
"""NumPy's."""
_MOST = 10**12
_LONGEST = 40
"""Characters of a number."""


class WholeNumber(click.IntRange):
    """A whole number from a minimum to 10^12."""

    def __init__(self, least: int, most: int = _MOST) -> None:
        super().__init__(min=least)
        self.most = most

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The number."""
        _refuse_long(self, value, param, ctx)
        number: int = super().convert(value, param, ctx)
        if number > self.most:
            self.fail(f"must be at most {self.most:,}", param, ctx)
        return number


class Number(click.FloatRange):
    """A finite number from a minimum to 10^12."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number."""
        _refuse_long(self, value, param, ctx)
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        if number > _MOST:
            self.fail(f"must be at most {_MOST:,}", param, ctx)
        return number


def _refuse_long(kind: WholeNumber | Number, value: Any, param: Any, ctx: Any) -> None:
    if len(str(value)) > _LONGEST:
        kind.fail(f"{str(value)[:_LONGEST]}... is too long", param, ctx)
