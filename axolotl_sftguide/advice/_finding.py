"""One thing that is found in a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ..evidence import CLAIMS


class Weight(IntEnum):
    """How much a finding matters; the first comes first."""

    WRONG = 0
    """It does not do what is written, or ends in an error."""
    AGAINST = 1
    """The evidence for this setting speaks against it."""
    NOTE = 2
    """Good to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A place in a configuration, what is the matter with it, and the way out."""

    weight: Weight
    path: str
    """Dotted, from the top of the configuration."""
    value: Any
    """What stands there; None where nothing does."""
    says: str
    remedy: str
    claim: str | None = None
    """The key of the claim that it rests on, else it is about the host itself."""

    @property
    def source(self) -> str:
        """Where what it says was shown, and for which setting."""
        if self.claim is None:
            return "Axolotl 0.19.0"
        said = CLAIMS[self.claim]
        return f"{said.reference} ({said.grade}; {said.setting})"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "weight": self.weight.name.lower(),
            "path": self.path,
            "value": self.value,
            "says": self.says,
            "remedy": self.remedy,
            "claim": self.claim,
            "source": self.source,
        }
