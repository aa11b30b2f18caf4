"""Folds the rules of the settings over one run, and says what they found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..config.settings import EarlyTerminationSettings
from ..signals import Curve, Observation
from ..signals.cohort import Cohort
from .rules import (
    BeyondCohort,
    Divergence,
    Grace,
    NonFinite,
    NotLearning,
    Patience,
    Rule,
    Verdict,
    WorseThan,
)

_FEWEST_PEERS = 4
"""Fewer earlier runs are no cohort, not even to warn."""


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
        cohort: The earlier runs, or None where there are none.
    """

    def __init__(
        self,
        settings: EarlyTerminationSettings,
        reference: Curve | None = None,
        cohort: Cohort | None = None,
    ) -> None:
        self._seats = [
            _Seat(rule, action, rule.init())
            for rule, action in rules_of(settings, reference, cohort)
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
    settings: EarlyTerminationSettings,
    reference: Curve | None = None,
    cohort: Cohort | None = None,
) -> list[tuple[Rule, str]]:
    """Each rule of the settings with its action, `off` included."""
    actions = actions_of(settings)
    non_finite, divergence = settings.non_finite, settings.divergence
    flat, versus, among = settings.not_learning, settings.comparison, settings.cohort
    rules: list[Rule] = [
        NonFinite(non_finite.steps),
        Divergence(
            divergence.window,
            divergence.sigmas,
            divergence.margin,
            divergence.patience,
            divergence.norm_margin,
        ),
        NotLearning(flat.steps, flat.grace, flat.sigmas, flat.margin, flat.patience),
    ]
    if reference is not None:
        worse = WorseThan(reference, versus.window, versus.sigmas, versus.margin)
        rules.append(Patience(Grace(worse, versus.grace), versus.patience))
    found = [(rule, actions[rule.name]) for rule in rules]
    if cohort is not None:
        # A few runs say little, and runs among which the signals do not go with the
        # score say the contrary: they may warn of one, and end none.
        few = min(among.least_peers, _FEWEST_PEERS)
        levels = [(few, actions["cohort"])]
        if actions["cohort"] == "stop" and cohort.doubt is not None:
            levels = [(few, "warn")]
        elif actions["cohort"] == "stop":
            levels = [(among.least_peers, "stop"), (few, "warn")]
        for least, action in levels:
            beyond = BeyondCohort(cohort, among.window, among.sigmas, least)
            found.append((Patience(Grace(beyond, among.grace), among.patience), action))
    return found


def actions_of(settings: EarlyTerminationSettings) -> dict[str, str]:
    """What each rule may do: its own action, or the common one."""
    return {
        name: getattr(settings, name).action or settings.action
        for name in ("non_finite", "divergence", "not_learning", "comparison", "cohort")
    }


def describe(settings: EarlyTerminationSettings) -> str:
    """The rules by action, such as `stops on non_finite; warns on divergence`."""
    actions = actions_of(settings)
    parts = []
    for verb, action in (("stops on", "stop"), ("warns on", "warn")):
        names = [name for name, chosen in actions.items() if chosen == action]
        if names:
            parts.append(f"{verb} {', '.join(names)}")
    return "; ".join(parts) or "no rule is on"
