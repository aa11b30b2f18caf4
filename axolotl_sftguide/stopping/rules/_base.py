"""The form that every rule has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...signals import Observation


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule found, with the figures that made it."""

    rule: str
    """The rule's name, as in the settings."""
    reason: str
    """One sentence for the user, with its figures."""
    step: int
    """The optimizer step at which it was found."""
    samples_seen: int
    """Training samples seen by then."""
    bad_since: int
    """The first optimizer step that counts as bad; those before it were good."""
    figures: dict[str, float] = field(default_factory=dict)
    """The numbers of the comparison, by name."""
    reference: str | None = None
    """The run id it was compared with, where it was."""


class Rule(Protocol):
    """A frozen value with a name, a first state and a step."""

    @property
    def name(self) -> str:
        """The rule's name, as in the settings."""
        ...

    def init(self) -> Any:
        """The state before the first observation."""
        ...

    def step(self, state: Any, observation: Observation) -> tuple[Any, Verdict | None]:
        """The next state, and a verdict while the rule holds the run to be bad."""
        ...


def fold(rule: Rule, observations: Iterable[Observation]) -> Verdict | None:
    """The first verdict of a rule over a run, or None."""
    state = rule.init()
    for observation in observations:
        state, verdict = rule.step(state, observation)
        if verdict is not None:
            return verdict
    return None
