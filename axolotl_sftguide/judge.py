"""Folds the rules of the settings over one run, and says what they found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .rules import Divergence, NonFinite, NotLearning, Rule, Verdict, WorseThan
from .settings import EarlyTerminationSettings
from .signals import Curve, Observation


@dataclass(frozen=True)
class Finding:
    """A verdict, and what the settings say is to be done: `warn` or `stop`."""

    verdict: Verdict
    action: str


@dataclass
class _Seat:
    rule: Rule
    action: str
    state: Any
    spoken: bool = False


class Judge:
    """The rules that are on, with their states.

    Args:
        settings: Which rules are on and what they may do.
        reference: The curve to compare with, or None where there is none.
    """

    def __init__(
        self, settings: EarlyTerminationSettings, reference: Curve | None
    ) -> None:
        self._seats = [
            _Seat(rule, action, rule.init())
            for rule, action in rules_of(settings, reference)
            if action != "off"
        ]

    def hear(self, observations: Iterable[Observation]) -> list[Finding]:
        """Fold new observations; each rule speaks once."""
        found = []
        for observation in observations:
            for seat in self._seats:
                seat.state, verdict = seat.rule.step(seat.state, observation)
                if verdict is not None and not seat.spoken:
                    seat.spoken = True
                    found.append(Finding(verdict, seat.action))
        return found


def rules_of(
    settings: EarlyTerminationSettings, reference: Curve | None
) -> list[tuple[Rule, str]]:
    """Each rule of the settings with its action, `off` included."""
    non_finite, divergence = settings.non_finite, settings.divergence
    flat, comparison = settings.not_learning, settings.comparison
    rules: list[tuple[Rule, str]] = [
        (NonFinite(non_finite.steps), non_finite.action),
        (
            Divergence(
                divergence.window,
                divergence.sigmas,
                divergence.margin,
                divergence.patience,
            ),
            divergence.action or settings.action,
        ),
        (
            NotLearning(
                flat.steps, flat.grace, flat.sigmas, flat.margin, flat.patience
            ),
            flat.action or settings.action,
        ),
    ]
    if reference is not None:
        worse = WorseThan(
            reference,
            comparison.grace,
            comparison.window,
            comparison.sigmas,
            comparison.margin,
            comparison.patience,
        )
        rules.append((worse, comparison.action or settings.action))
    return rules


def describe(settings: EarlyTerminationSettings) -> str:
    """The rules by action, such as `stops on non_finite; warns on divergence`."""
    actions = {
        "non_finite": settings.non_finite.action,
        "divergence": settings.divergence.action or settings.action,
        "not_learning": settings.not_learning.action or settings.action,
        "comparison": settings.comparison.action or settings.action,
    }
    parts = []
    for verb, action in (("stops on", "stop"), ("warns on", "warn")):
        names = [name for name, chosen in actions.items() if chosen == action]
        if names:
            parts.append(f"{verb} {', '.join(names)}")
    return "; ".join(parts) or "no rule is on"
