"""Numbers on the command line: finite, and of a size that can be computed with."""

from __future__ import annotations

import math
from typing import Any

import click

MOST = 10**12
_LONGEST = 40
"""Characters of a number."""
MOST_GPUS = 100_000
MOST_SEED = 2**32 - 1
"""NumPy's."""


class WholeNumber(click.IntRange):
    """A whole number from a minimum to 10^12."""

    def __init__(self, least: int, most: int = MOST) -> None:
        super().__init__(min=least)
        self.most = most

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The number."""
        if len(str(value)) > _LONGEST:
            self.fail(f"{str(value)[:_LONGEST]}... is too long", param, ctx)
        number: int = super().convert(value, param, ctx)
        if number > self.most:
            self.fail(f"the largest number here is {self.most:,}", param, ctx)
        return number


class Number(click.FloatRange):
    """A finite number from a minimum to 10^12."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number."""
        if len(str(value)) > _LONGEST:
            self.fail(f"{str(value)[:_LONGEST]}... is too long", param, ctx)
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        if number > MOST:
            self.fail(f"the largest number here is {MOST:,}", param, ctx)
        return number
