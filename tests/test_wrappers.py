"""Grace, patience and all-of around any rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loss_curves import run

from axolotl_sftguide.signals import Observation
from axolotl_sftguide.stopping.rules import AllOf, Grace, Patience, Verdict, fold


@dataclass(frozen=True)
class High:
    """Finds every step whose loss is above a limit, and counts what it saw."""

    limit: float
    name: str = "high"

    def init(self) -> int:
        return 0

    def step(self, state: int, observation: Observation) -> tuple[int, Any]:
        if observation.loss <= self.limit:
            return state + 1, None
        reason = f"above {self.limit:g}"
        figures = {f"limit {self.limit:g}": self.limit}
        seen = observation.step, observation.samples_seen, observation.step
        return state + 1, Verdict(self.name, reason, *seen, figures)


def test_before_its_grace_a_rule_observes_and_finds_nothing() -> None:
    rule = Grace(High(1.0), 5)
    verdict = fold(rule, run([2.0] * 10))
    assert verdict is not None
    assert verdict.step == 5
    state = rule.init()
    for observation in run([2.0] * 4):
        state, _ = rule.step(state, observation)
    assert state == 4


def test_patience_needs_consecutive_steps_and_reports_the_first() -> None:
    losses = [2.0, 2.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    verdict = fold(Patience(High(1.0), 3), run(losses))
    assert verdict is not None
    assert (verdict.step, verdict.bad_since) == (6, 4)
    assert verdict.reason == "above 1, for 3 steps in a row"
    assert fold(Patience(High(1.0), 5), run(losses)) is None


def test_all_of_them_must_find_the_same_step() -> None:
    both = AllOf("both", (High(1.0), High(3.0)))
    assert fold(both, run([2.0, 2.0])) is None
    verdict = fold(both, run([2.0, 4.0]))
    assert verdict is not None
    assert (verdict.rule, verdict.step) == ("both", 2)
    assert verdict.reason == "above 1 and above 3"
    assert verdict.figures == {"limit 1": 1.0, "limit 3": 3.0}


def test_they_are_rules_themselves() -> None:
    rule = Patience(AllOf("both", (Grace(High(1.0), 3), High(2.0))), 2)
    assert rule.name == "both"
    verdict = fold(rule, run([4.0] * 9))
    assert verdict is not None
    assert (verdict.step, verdict.bad_since) == (4, 3)
