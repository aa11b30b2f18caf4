"""`early_termination.metric`: the score by which runs are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from loss_curves import learning, run
from runs import run_row

from axolotl_sftguide.config.differences import setting_of, varied_keys
from axolotl_sftguide.config.settings import early_termination_settings
from axolotl_sftguide.monitor.judging import judge_at_start
from axolotl_sftguide.runs.history import RunHistory, Score
from axolotl_sftguide.signals import points_of
from axolotl_sftguide.signals.comparability import Candidate
from axolotl_sftguide.stopping.objectives import SUPERVISED
from axolotl_sftguide.stopping.rules import Prediction
from axolotl_sftguide.sweep import SearchSpace, Trial
from axolotl_sftguide.sweep._config import config_of

STEPS = 320


@pytest.fixture
def history() -> RunHistory:
    """Five finished runs with an accuracy and an evaluation loss."""
    found = RunHistory()
    for i in range(5):
        found.begin(run_row(f"r{i}", config={"learning_rate": i}, max_steps=STEPS))
        found.add_points(f"r{i}", points_of(run(learning(STEPS, i))))
        found.add_score(f"r{i}", Score("accuracy", 0.1 * i, "max"))
        found.add_score(f"r{i}", Score("eval_loss", 2 - 0.1 * i, "min"))
        found.end(f"r{i}", "finished")
    return found


@pytest.mark.parametrize(
    ("named", "used", "best"),
    [
        (None, "accuracy", 0.4),
        ("accuracy", "accuracy", 0.4),
        ("eval_loss",) * 2 + (-1.6,),
    ],
)
def test_a_live_run_is_predicted_by_the_score_that_is_named(
    named: str | None, used: str, best: float, history: RunHistory
) -> None:
    rules = early_termination_settings(metric=named)
    candidate = Candidate("s", "k", metric=rules.metric, without="new")
    judge = judge_at_start(candidate, history, rules, SUPERVISED, STEPS, None)
    (rule,) = [rule for rule, _ in judge.rules if isinstance(rule, Prediction)]
    assert rule.forecast.metric == used
    assert max(r.score for r in rule.forecast.runs) == pytest.approx(best)


def test_a_score_that_no_earlier_run_has_is_named_with_those_that_they_have(
    history: RunHistory, caplog: pytest.LogCaptureFixture
) -> None:
    rules = early_termination_settings(metric="acuracy")
    candidate = Candidate("s", "k", metric=rules.metric, without="new")
    judge = judge_at_start(candidate, history, rules, SUPERVISED, STEPS, None)
    assert not any(isinstance(rule, Prediction) for rule, _ in judge.rules)
    assert caplog.messages == [
        "early_termination.metric: none of the 5 finished runs that this run is "
        "compared with has a score 'acuracy', so comparison and prediction find "
        "nothing; their scores: accuracy, eval_loss"
    ]


@pytest.mark.parametrize(
    ("rules", "metric"), [({}, "eval_loss"), ({"metric": "f1"}, "f1")]
)
def test_the_rules_of_a_trial_judge_by_the_metric_of_the_sweep(
    rules: dict[str, Any], metric: str, tmp_path: Path
) -> None:
    recipe = {"sftguide": {"early_termination": rules}}
    trial = Trial(0, {}, tmp_path / "trial-0000")
    found = config_of(trial, "s", "eval_loss", recipe, SearchSpace({}, {}))
    assert found["sftguide"]["early_termination"]["metric"] == metric
    by_hand = {**found, "sftguide": {"early_termination": {"action": "stop"}}}
    assert varied_keys([found, by_hand]) == []
    assert setting_of(found) == setting_of(by_hand)
