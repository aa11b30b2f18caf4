"""Patience on the host's evaluations, folded over their values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from axolotl_sftguide.config.settings import early_termination_settings, load_settings
from axolotl_sftguide.errors import SettingsError
from axolotl_sftguide.stopping.evaluation import evaluation_rule
from axolotl_sftguide.stopping.judge import describe, judge_of
from axolotl_sftguide.stopping.objectives import PREFERENCE, REINFORCEMENT
from axolotl_sftguide.stopping.rules import Evaluation, EvaluationPatience, Verdict

EVERY = 10
NAN = math.nan


def patience(
    patience: int = 3, min_delta: float = 0.0, goal: str = "min"
) -> EvaluationPatience:
    return EvaluationPatience("eval_loss", patience, min_delta, goal)


def evaluations(values: Sequence[float]) -> list[Evaluation]:
    return [
        Evaluation(EVERY * i, value, 80 * i) for i, value in enumerate(values, start=1)
    ]


def first(rule: EvaluationPatience, values: Sequence[float]) -> Verdict | None:
    state = rule.init()
    for evaluation in evaluations(values):
        state, verdict = rule.step(state, evaluation)
        if verdict is not None:
            return verdict
    return None


def test_a_loss_that_rises_for_three_evaluations_is_found_at_the_third() -> None:
    verdict = first(patience(), [2.0, 1.5, 1.4, 1.45, 1.5, 1.6, 1.7])
    assert verdict is not None
    assert (verdict.rule, verdict.step, verdict.samples_seen) == ("evaluation", 60, 480)
    assert verdict.bad_since == 31
    assert verdict.figures == {
        "evaluations": 3.0,
        "last": 1.6,
        "best": 1.4,
        "best_step": 30.0,
    }
    assert verdict.reason == (
        "eval_loss has not fallen below 1.4 of step 30 in 3 evaluations; "
        "the last is 1.6"
    )


def test_a_loss_that_falls_once_in_three_evaluations_is_never_found() -> None:
    falling = [2.0 - 0.01 * (i // 3) + 0.05 * (i % 3 != 0) for i in range(60)]
    assert first(patience(), falling) is None
    assert first(patience(2), falling) is not None


def test_an_equal_loss_is_no_improvement() -> None:
    assert first(patience(), [1.0, 1.0, 1.0, 1.0]) is not None
    assert first(patience(), [1.0, 1.0, 1.0]) is None


def test_a_slow_and_steady_improvement_adds_up() -> None:
    """Each step is below min_delta; three of them together are above it."""
    slow = [2.0 - 0.04 * i for i in range(40)]
    assert first(patience(3, 0.1), slow) is None
    assert first(patience(2, 0.1), slow) is not None


def test_the_best_is_the_lowest_value_even_if_it_is_below_min_delta() -> None:
    verdict = first(patience(3, 0.1), [2.0, 1.99, 1.95, 1.97])
    assert verdict is not None
    assert (verdict.figures["best"], verdict.figures["best_step"]) == (1.95, 30.0)
    assert verdict.reason == (
        "eval_loss has not fallen below 2 of step 10 by more than 0.1 in 3 "
        "evaluations; the last is 1.97, the best 1.95 of step 30"
    )


def test_a_metric_to_maximise_is_found_when_it_falls() -> None:
    rising = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert first(patience(goal="max"), rising) is None
    verdict = first(patience(goal="max"), [0.1, 0.3, 0.2, 0.2, 0.1])
    assert verdict is not None
    assert verdict.figures["best"] == 0.3
    assert "has not risen above 0.3 of step 20" in verdict.reason


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_no_improvement_and_never_the_best(
    bad: float,
) -> None:
    for goal in ("min", "max"):
        verdict = first(patience(goal=goal), [1.0, bad, bad, bad])
        assert verdict is not None
        assert verdict.figures["best_step"] == 10.0
        never = first(patience(goal=goal), [bad, bad, bad])
        assert never is not None
        assert never.reason == "eval_loss was not finite in 3 evaluations in a row"
        assert "best" not in never.figures
        assert first(patience(goal=goal), [bad, bad, 1.0, bad, bad]) is None


def test_two_evaluations_at_one_step_count_once() -> None:
    rule = patience(2)
    state, _ = rule.step(rule.init(), Evaluation(10, 1.0))
    for _ in range(5):
        state, verdict = rule.step(state, Evaluation(20, 1.5))
        assert verdict is None
    assert state.streak == 1


@pytest.mark.parametrize("cut", range(8))
def test_a_resume_is_a_replay(cut: int) -> None:
    rule, run = patience(), evaluations([2.0, 1.5, 1.6, 1.4, 1.5, 1.6, 1.7])

    def replay(state: Any, part: list[Evaluation]) -> tuple[Any, list[Any]]:
        found = []
        for evaluation in part:
            state, verdict = rule.step(state, evaluation)
            found.append(verdict)
        return state, found

    whole, verdicts = replay(rule.init(), run)
    state, before = replay(rule.init(), run[:cut])
    state, after = replay(state, run[cut:])
    assert (state, before + after) == (whole, verdicts)


def test_rule_and_state_are_frozen_values() -> None:
    rule = patience()
    state = rule.init()
    rule.step(state, Evaluation(10, 1.0))
    assert state == rule.init()
    with pytest.raises(FrozenInstanceError):
        rule.patience = 9  # type: ignore[misc]


def test_without_its_block_the_rule_is_off_whatever_the_common_action() -> None:
    for action in ("off", "warn", "stop"):
        settings = early_termination_settings(action=action)
        assert evaluation_rule(settings) is None
        assert "evaluation" not in describe(settings)


def test_its_block_alone_switches_it_on() -> None:
    settings = early_termination_settings(evaluation={"patience": 5})
    assert evaluation_rule(settings) == (patience(5), "stop")
    assert describe(settings).startswith("stops on non_finite, evaluation; warns on")
    # It reads no optimizer steps: the backtest and the pruner do not know it.
    names = [rule.name for rule, _ in judge_of(settings).rules]
    assert "evaluation" not in names


@pytest.mark.parametrize("metric", ["loss", "eval_loss"])
def test_the_prefix_of_the_metric_may_be_left_out(metric: str) -> None:
    settings = early_termination_settings(evaluation={"metric": metric})
    rule, _ = evaluation_rule(settings)  # type: ignore[misc]
    assert (rule.metric, rule.goal) == ("eval_loss", "min")


def test_a_metric_that_is_no_loss_needs_a_goal() -> None:
    """With `min` as a default, a rising accuracy would stop the run."""
    with pytest.raises(SettingsError) as refusal:
        load_settings({"early_termination": {"evaluation": {"metric": "accuracy"}}})
    (problem,) = refusal.value.problems
    assert str(problem) == (
        "sftguide.early_termination.evaluation.goal: must be 'min' or 'max' for the "
        "metric accuracy"
    )
    load_settings(
        {"early_termination": {"evaluation": {"metric": "accuracy", "goal": "max"}}}
    )


def test_in_reinforcement_learning_only_another_metric_than_the_loss_stops() -> None:
    on_loss = early_termination_settings(evaluation={})
    assert evaluation_rule(on_loss, PREFERENCE) == (patience(), "stop")
    assert evaluation_rule(on_loss, REINFORCEMENT) == (patience(), "warn")
    on_reward = early_termination_settings(
        evaluation={"metric": "eval_reward", "goal": "max"}
    )
    assert evaluation_rule(on_reward, REINFORCEMENT)[1] == "stop"  # type: ignore[index]
