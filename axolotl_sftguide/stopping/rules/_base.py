"""The interface of a rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...signals import Observation


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule's finding that a run is bad, with the numbers behind it."""

    rule: str
    """The rule's name, as in the settings."""
    reason: str
    """One sentence for the user, with the numbers."""
    step: int
    """The optimizer step of the finding."""
    samples_seen: int
    """Training samples seen up to that step."""
    bad_since: int
    """The first bad optimizer step; weights from before it are good."""
    figures: dict[str, float] = field(default_factory=dict)
    """The numbers compared, by name."""
    reference: str | None = None
    """The id of the reference run; None if there was none."""
    certain: bool = True
    """False if the evidence is enough for a warning only, whatever the action."""
    signals: tuple[str, ...] = ()
    """What the finding is about: `loss`, `grad_norm`, `trained_tokens`, or the name of
    an evaluation's metric. Empty if the rule does not say."""


class Rule(Protocol):
    """A frozen value with a name, an initial state and a step."""

    @property
    def name(self) -> str:
        """The rule's name, as in the settings."""
        ...

    def init(self) -> Any:
        """The state before the first observation."""
        ...

    def step(self, state: Any, observation: Observation) -> tuple[Any, Verdict | None]:
        """The next state, and a verdict for as long as the rule finds the run bad."""
        ...


def fold(rule: Rule, observations: Iterable[Observation]) -> Verdict | None:
    """The first verdict of a rule over a run, or None."""
    state = rule.init()
    for observation in observations:
        state, verdict = rule.step(state, observation)
        if verdict is not None:
            return verdict
    return None
