"""A choice: one key of the config, its value and the reason for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..evidence import CLAIMS

Basis = Literal["evidence", "data", "model", "fits", "convention", "default", "given"]
"""What a choice rests on: claims, the data, the model, the card's memory, what is
usual, the host's default, or the user."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The value of one key, and why."""

    key: str
    """The dotted key in Axolotl's config."""
    value: Any
    reason: str
    """In a few words, for the comment beside the value."""
    basis: Basis
    claims: tuple[str, ...] = ()
    """Keys of claims, if it rests on them."""
    unsure: str = ""
    """What the evidence leaves open; empty if nothing."""
    alternatives: tuple[Any, ...] = ()
    """Other values that the evidence does not exclude."""
    derived: str = ""
    """How the first claim's number follows from the value, such as `3 x 244 = 732`."""
    comments: Mapping[str, str] = field(default_factory=dict)
    """Comments inside a value that is a list or mapping, by the dotted path in it."""

    def __post_init__(self) -> None:
        for key in self.claims:
            assert key in CLAIMS, key

    @property
    def comment(self) -> str:
        """The comment beside the value in the YAML."""
        marks = [f"[{key}]" for key in self.claims]
        if self.derived:
            marks[0] = f"[{self.claims[0]}: {self.derived}]"
        if self.basis == "fits":
            marks.append("[fits]")
        return " ".join((*marks, self.reason)).strip()

    def to_dict(self) -> dict[str, Any]:
        """The choice as plain values, for JSON."""
        return {
            "key": self.key,
            "value": self.value,
            "reason": self.reason,
            "basis": self.basis,
            "claims": list(self.claims),
            "unsure": self.unsure,
            "alternatives": list(self.alternatives),
            "derived": self.derived,
        }


@dataclass
class Choices:
    """All choices, in the order in which they were made."""

    made: dict[str, Choice] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What else the user has to know."""

    def add(self, choice: Choice) -> None:
        """Add a choice, or replace the one of the same key."""
        self.made[choice.key] = choice

    def add_beside(self, choice: Choice, other: str, *, instead: bool = False) -> None:
        """Add a choice after the one of another key, or in its place."""
        if choice.key in self.made or other not in self.made:
            return self.add(choice)
        made = list(self.made.items())
        place = list(self.made).index(other)
        made[place + (not instead) : place + 1] = [(choice.key, choice)]
        self.made = dict(made)

    def value(self, key: str, default: Any = None) -> Any:
        """The chosen value; the default if nothing was chosen."""
        choice = self.made.get(key)
        return default if choice is None else choice.value

    @property
    def unsure(self) -> list[Choice]:
        """Choices that the evidence leaves open."""
        return [choice for choice in self.made.values() if choice.unsure]

    def config(self) -> dict[str, Any]:
        """The config that the choices make, as Axolotl reads it."""
        return nested({key: choice.value for key, choice in self.made.items()})


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Blocks of the values at dotted keys."""
    found: dict[str, Any] = {}
    for key, value in flat.items():
        block = found
        *outer, last = key.split(".")
        for name in outer:
            block = block.setdefault(name, {})
        block[last] = value
    return found
