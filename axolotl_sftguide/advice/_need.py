"""The shape of a rule on keys that do nothing without another key."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ._finding import Weight
from ._view import View


class Need(NamedTuple):
    """Keys, and the condition under which they have an effect."""

    keys: tuple[str, ...]
    met: Callable[[View], object]
    """The condition."""
    problem: str
    """A clause; `{key}` stands for the first of the keys that is set."""
    effect: str
    remedy: str
    weight: Weight = Weight.NOTE
    id: str = "key-without-effect"
