"""Wrappers of rules: from some step on, for some steps in a row, all at one step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...signals import Observation
from ._base import Rule, Verdict


@dataclass(frozen=True, slots=True)
class Grace:
    """Drops the rule's verdicts before optimizer step `steps`."""

    rule: Rule
    steps: int

    @property
    def name(self) -> str:
        """The name of the wrapped rule."""
        return self.rule.name

    def init(self) -> Any:
        """The initial state of the wrapped rule."""
        return self.rule.init()

    def step(self, state: Any, observation: Observation) -> tuple[Any, Verdict | None]:
        """Apply the rule, and return its verdict from step `steps` on."""
        state, verdict = self.rule.step(state, observation)
        return state, verdict if observation.step >= self.steps else None


@dataclass(frozen=True, slots=True)
class Patience:
    """Requires the rule to find the run bad on `steps` optimizer steps in a row."""

    rule: Rule
    steps: int

    @property
    def name(self) -> str:
        """The name of the wrapped rule."""
        return self.rule.name

    def init(self) -> tuple[Any, int, int]:
        """The rule's state, without a streak."""
        return self.rule.init(), 0, 0

    def step(
        self, state: tuple[Any, int, int], observation: Observation
    ) -> tuple[tuple[Any, int, int], Verdict | None]:
        """Apply the rule, and extend the streak or end it."""
        inner, streak, bad_since = state
        inner, verdict = self.rule.step(inner, observation)
        if verdict is None:
            return (inner, 0, 0), None
        streak, bad_since = streak + 1, bad_since or verdict.bad_since
        if streak < self.steps:
            return (inner, streak, bad_since), None
        reason = f"{verdict.reason}, for {streak} steps in a row"
        lasting = replace(verdict, reason=reason, bad_since=bad_since)
        return (inner, streak, bad_since), lasting


@dataclass(frozen=True, slots=True)
class AllOf:
    """Requires all of the rules to find the run bad at the same step."""

    name: str
    rules: tuple[Rule, ...]

    def init(self) -> tuple[Any, ...]:
        """The initial states of the rules."""
        return tuple(rule.init() for rule in self.rules)

    def step(
        self, state: tuple[Any, ...], observation: Observation
    ) -> tuple[tuple[Any, ...], Verdict | None]:
        """Apply every rule."""
        pairs = zip(self.rules, state, strict=True)
        states, verdicts = zip(
            *(rule.step(own, observation) for rule, own in pairs), strict=True
        )
        found = [verdict for verdict in verdicts if verdict is not None]
        if len(found) < len(self.rules):
            return states, None
        figures: dict[str, float] = {}
        for verdict in found:
            figures |= verdict.figures
        return states, replace(
            found[-1],
            rule=self.name,
            reason=" and ".join(verdict.reason for verdict in found),
            bad_since=max(verdict.bad_since for verdict in found),
            figures=figures,
        )
