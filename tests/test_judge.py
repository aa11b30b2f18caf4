"""What the settings make of a verdict: off, warn or stop."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import pytest
from runs import steps

from axolotl_sftguide.config.settings import load_settings
from axolotl_sftguide.signals import Curve, Observation
from axolotl_sftguide.signals.cohort import Cohort
from axolotl_sftguide.stopping.baselines import Baselines
from axolotl_sftguide.stopping.judge import (
    Judge,
    actions_of,
    describe,
    judge_of,
    rules_of,
)

REFERENCE = Curve.of("ref", steps(50))


def settings(**block: object) -> object:
    return load_settings({"early_termination": block}).early_termination


def broken(first: int, last: int) -> list[Observation]:
    return [
        Observation(i, 8 * i, math.nan, math.nan, 1e-3) for i in range(first, last + 1)
    ]


def test_each_rule_reports_once() -> None:
    judge = judge_of(settings(non_finite={"steps": 3}))  # type: ignore[arg-type]
    state, findings = judge.step(judge.init(), steps(5))
    assert findings == ()
    state, (finding,) = judge.step(state, broken(6, 30))
    assert (finding.verdict.rule, finding.action) == ("non_finite", "stop")
    assert finding.verdict.step == 8
    assert judge.step(state, broken(31, 60))[1] == ()


def test_a_judge_is_a_frozen_value() -> None:
    one, other = (judge_of(settings(), Baselines(REFERENCE)) for _ in range(2))  # type: ignore[arg-type]
    assert one == other
    with pytest.raises(FrozenInstanceError):
        one.rules = ()  # type: ignore[misc]
    state = one.init()
    one.step(state, broken(1, 60))
    assert state == one.init()


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_resume_is_a_replay(cut: int) -> None:
    judge = judge_of(settings(), Baselines(REFERENCE))  # type: ignore[arg-type]
    run = [*steps(5), *broken(6, 30), *steps(40, 31)]
    whole, found = judge.step(judge.init(), run)
    state, before = judge.step(judge.init(), run[:cut])
    state, after = judge.step(state, run[cut:])
    assert (state, (*before, *after)) == (whole, found)


def reported(judge: Judge, run: list[Observation]) -> tuple[list[str], list[str]]:
    """The rules that reported a finding, and those whose finding holds at the end."""
    state, findings = judge.step(judge.init(), run)
    holding = judge.holding(state)
    return [f.verdict.rule for f in findings], [f.verdict.rule for f in holding]


def test_after_a_replay_the_findings_that_still_hold_are_known() -> None:
    judge = judge_of(settings(non_finite={"steps": 3}))  # type: ignore[arg-type]
    assert reported(judge, steps(20)) == ([], [])
    found = reported(judge, [*steps(5), *broken(6, 30)])
    assert found == (["non_finite"], ["non_finite"])
    healed = [*steps(5), *broken(6, 30), *steps(40, 31)]
    assert reported(judge, healed) == (["non_finite"], [])
    again = [*healed, *broken(41, 50)]
    assert reported(judge, again) == (["non_finite"], ["non_finite"])


def test_without_a_reference_nothing_is_compared() -> None:
    names = [r.name for r, _ in rules_of(settings(), Baselines())]  # type: ignore[arg-type]
    assert names == ["non_finite", "divergence", "not_learning"]
    names = [r.name for r, _ in rules_of(settings(), Baselines(REFERENCE))]  # type: ignore[arg-type]
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
    rules = rules_of(chosen, Baselines(None, cohort))[3:]  # type: ignore[arg-type]
    doubted = replace(cohort, doubt="the norm says nothing")
    actions = [a for _, a in rules_of(chosen, Baselines(None, doubted))[3:]]  # type: ignore[arg-type]
    assert actions == ["warn" if action == "stop" else action]
    assert [(r.rule.rule.least_peers, a) for r, a in rules] == levels  # type: ignore[attr-defined]


def test_a_rule_that_is_off_is_silent() -> None:
    judge = judge_of(settings(non_finite={"action": "off"}))  # type: ignore[arg-type]
    assert judge.step(judge.init(), broken(1, 60))[1] == ()


def test_a_rules_own_action_comes_before_the_common_one() -> None:
    chosen = settings(
        action="stop", comparison={"action": "warn"}, divergence={"action": "off"}
    )
    actions = {r.name: a for r, a in rules_of(chosen, Baselines(REFERENCE))}  # type: ignore[arg-type]
    assert actions == {
        "non_finite": "stop",
        "divergence": "off",
        "not_learning": "stop",
        "comparison": "warn",
    }
    assert set(actions_of(chosen)) == {*actions, "cohort", "prediction"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("block", "line"),
    [
        (
            {},
            "stops on non_finite; "
            "warns on divergence, not_learning, comparison, cohort, prediction",
        ),
        (
            {"action": "stop", "comparison": {"action": "off"}},
            "stops on non_finite, divergence, not_learning, prediction; "
            "warns on cohort",
        ),
        ({"action": "off", "non_finite": {"action": "off"}}, "no rule is on"),
    ],
)
def test_the_banner_lists_the_action_of_each_rule(
    block: dict[str, object], line: str
) -> None:
    assert describe(settings(**block)) == line  # type: ignore[arg-type]
