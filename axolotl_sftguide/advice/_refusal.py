"""The shape of a rule by which Axolotl refuses a config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ._view import View


@dataclass(frozen=True, slots=True)
class Refusal:
    """A combination of keys that Axolotl's own validation refuses."""

    id: str
    path: str
    """The key that the finding is about."""
    host: str
    """The validator in Axolotl: module and function."""
    when: Callable[[View], object]
    problem: str
    """A clause; `{value}` stands for the value at the path."""
    remedy: str
    remove: bool = False
    """Whether removing the key is a certain remedy."""
