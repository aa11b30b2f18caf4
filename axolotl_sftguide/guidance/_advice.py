"""The results of `guide`: changes, open questions, and missing records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..evidence import CLAIMS

Certainty = Literal["high", "moderate"]
"""`high`: measured in this run or in other runs of its study, beyond the noise.
`moderate`: a published result for this setting, or a figure whose noise is unknown."""

Direction = Literal["higher", "lower", ""]


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason for an advice: figures of runs, or a published claim."""

    text: str
    claim: str = ""
    """The key of the claim; empty for figures of this run or of other runs."""

    def __post_init__(self) -> None:
        assert not self.claim or self.claim in CLAIMS, self.claim


@dataclass(frozen=True, slots=True)
class Advice:
    """One change for the next run."""

    rule: str
    """The rule that gives it."""
    key: str
    """The key of the host's config that changes; empty if it is no key."""
    text: str
    """What to do, in the imperative."""
    reasons: tuple[Reason, ...]
    certainty: Certainty
    now: Any = None
    """The value of this run."""
    to: Any = None
    """The value to try; None if only the direction is known."""
    direction: Direction = ""
    """Whether the value should be higher or lower."""
    edits: Mapping[str, Any] = field(default_factory=dict)
    """The keys to set, by dotted name; empty if no value is known."""
    changes_result: bool = True
    """False for changes that save time or memory only."""

    def to_dict(self) -> dict[str, Any]:
        """The advice as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Unclear:
    """A value that neither the records nor the evidence decide."""

    key: str
    now: Any
    text: str
    """Why it is unclear."""
    alternatives: tuple[Any, ...] = ()
    """Values that are worth a trial."""
    claims: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in self.claims:
            assert key in CLAIMS, key

    def to_dict(self) -> dict[str, Any]:
        """The question as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Missing:
    """A record that the run lacks."""

    about: str
    """What cannot be judged without it."""
    record: str
    """What is missing."""
    how: str
    """How the next run gets it."""

    def to_dict(self) -> dict[str, Any]:
        """The gap as plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Guidance:
    """What to change after a run, what is unclear, and what is not recorded."""

    advice: tuple[Advice, ...] = ()
    unclear: tuple[Unclear, ...] = ()
    missing: tuple[Missing, ...] = ()
    kept: tuple[str, ...] = ()
    """What the records support as it is."""
