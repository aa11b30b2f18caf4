"""What the settings make of a verdict: off, warn or stop."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from runs import steps

from axolotl_sftguide.config.settings import load_settings
from axolotl_sftguide.signals import Curve, Observation
from axolotl_sftguide.signals.cohort import Cohort
from axolotl_sftguide.stopping.judge import Judge, actions_of, describe, rules_of

REFERENCE = Curve.of("ref", steps(50))


def settings(**block: object) -> object:
    return load_settings({"early_termination": block}).early_termination


def broken(first: int, last: int) -> list[Observation]:
    return [
        Observation(i, 8 * i, math.nan, math.nan, 1e-3) for i in range(first, last + 1)
    ]


def test_each_rule_speaks_once() -> None:
    judge = Judge(settings(non_finite={"steps": 3}), None)  # type: ignore[arg-type]
    assert judge.hear(steps(5)) == []
    (finding,) = judge.hear(broken(6, 30))
    assert (finding.verdict.rule, finding.action) == ("non_finite", "stop")
    assert finding.verdict.step == 8
    assert judge.hear(broken(31, 60)) == []


def test_without_a_reference_nothing_is_compared() -> None:
    names = [r.name for r, _ in rules_of(settings(), None)]  # type: ignore[arg-type]
    assert names == ["non_finite", "divergence", "not_learning"]
    names = [r.name for r, _ in rules_of(settings(), REFERENCE)]  # type: ignore[arg-type]
    assert names[-1] == "comparison"


@pytest.mark.parametrize(
    ("action", "levels"),
    [
        ("stop", [(8, "stop"), (4, "warn")]),
        ("warn", [(4, "warn")]),
        ("off", [(4, "off")]),
    ],
)
def test_a_small_cohort_may_warn_and_not_stop(
    action: str, levels: list[tuple[int, str]]
) -> None:
    chosen = settings(cohort={"action": action})
    cohort = Cohort.of([(8, [(1.0, 1.0)])], 0.5)
    rules = rules_of(chosen, None, cohort)[3:]  # type: ignore[arg-type]
    doubted = replace(cohort, doubt="the norm says nothing")
    actions = [a for _, a in rules_of(chosen, None, doubted)[3:]]  # type: ignore[arg-type]
    assert actions == ["warn" if action == "stop" else action]
    assert [(r.rule.rule.least_peers, a) for r, a in rules] == levels  # type: ignore[attr-defined]


def test_a_rule_that_is_off_is_silent() -> None:
    judge = Judge(settings(non_finite={"action": "off"}), None)  # type: ignore[arg-type]
    assert judge.hear(broken(1, 60)) == []


def test_a_rules_own_action_comes_before_the_common_one() -> None:
    chosen = settings(
        action="stop", comparison={"action": "warn"}, divergence={"action": "off"}
    )
    actions = {r.name: a for r, a in rules_of(chosen, REFERENCE)}  # type: ignore[arg-type]
    assert actions == {
        "non_finite": "stop",
        "divergence": "off",
        "not_learning": "stop",
        "comparison": "warn",
    }
    assert set(actions_of(chosen)) == {*actions, "cohort"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("block", "line"),
    [
        (
            {},
            "stops on non_finite; "
            "warns on divergence, not_learning, comparison, cohort",
        ),
        (
            {"action": "stop", "comparison": {"action": "off"}},
            "stops on non_finite, divergence, not_learning, cohort",
        ),
        ({"action": "off", "non_finite": {"action": "off"}}, "no rule is on"),
    ],
)
def test_the_banner_says_which_rule_does_what(
    block: dict[str, object], line: str
) -> None:
    assert describe(settings(**block)) == line  # type: ignore[arg-type]
