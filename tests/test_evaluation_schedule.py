"""What a trainer's schedule lets the rule on evaluations do, said at the start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from axolotl_sftguide.monitor.evaluation_schedule import Schedule, remarks
from axolotl_sftguide.stopping.rules import EvaluationPatience

RULE = EvaluationPatience("eval_loss", 3)
BY_STEPS = Schedule(
    host="trl",
    max_steps=1000,
    epochs=3,
    evaluates="steps",
    eval_steps=100,
    saves="steps",
    save_steps=100,
    limit=2,
)
BY_EPOCHS = replace(BY_STEPS, evaluates="epoch", saves="epoch", epochs=8)


def said(schedule: Schedule, rule: EvaluationPatience = RULE) -> list[str]:
    return list(remarks(schedule, rule))


@pytest.mark.parametrize(
    "schedule",
    [
        BY_STEPS,
        BY_EPOCHS,
        replace(BY_STEPS, save_steps=50),
        replace(BY_STEPS, saves="best", best_by="loss"),
        replace(BY_STEPS, best_by="eval_loss"),
        replace(BY_STEPS, best_by="accuracy", greater_is_better=True, limit=None),
    ],
)
def test_nothing_is_said_where_the_rule_can_do_all_its_work(
    schedule: Schedule,
) -> None:
    assert said(schedule) == []


@pytest.mark.parametrize("every", [1, 7, 100, 333, 999, 1000, 1001])
@pytest.mark.parametrize("delay", [0, 1, 100, 350, 2000])
@pytest.mark.parametrize("on_start", [False, True])
def test_the_evaluations_before_the_last_step_are_those_of_the_trainer(
    every: int, delay: int, on_start: bool
) -> None:
    schedule = replace(BY_STEPS, eval_steps=every, eval_delay=delay, on_start=on_start)
    steps = range(1, schedule.max_steps)
    counted = sum(step % every == 0 and delay <= step for step in steps)
    assert schedule.before_the_end == counted + on_start


@pytest.mark.parametrize(("epochs", "few"), [(3, True), (4, True), (5, False)])
def test_evaluations_after_epochs_are_too_few_for_a_short_run(
    epochs: int, few: bool
) -> None:
    told = said(replace(BY_EPOCHS, epochs=epochs))
    assert bool(told) is few
    if few:
        (line,) = told
        assert f"it is evaluated {epochs - 1} times before its last step" in line
        assert "patience 3 needs 4" in line


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sets": None, "host": "axolotl"}, "Set val_set_size (such as 0.05) or"),
        ({"sets": None, "evaluates": "no"}, "Pass eval_dataset to the trainer"),
        ({"evaluates": "no"}, 'Set eval_strategy="steps" and eval_steps, or'),
        ({"sets": ("a", "b")}, "to that of one set, such as eval_a_loss, eval_b_loss"),
        ({"saves": "no"}, "cannot keep the best checkpoint: none is saved"),
        (
            {"save_steps": 200},
            "evaluated every 100 steps and saved every 200 steps, and the checkpoint "
            "nearest to the best evaluation is kept. To save one at each evaluation, "
            "set save_strategy='steps', save_steps=100",
        ),
        ({"saves": "epoch"}, "saved after each epoch"),
        (
            {"saves": "epoch", "host": "axolotl"},
            "set save_strategy: steps, save_steps: 100",
        ),
        (
            {"save_steps": 200, "host": "axolotl", "eval_share": 0.1},
            "set saves_per_epoch to the value of evals_per_epoch",
        ),
        (
            {"evaluates": "epoch", "epochs": 9},
            "after each epoch and saved every 100 steps",
        ),
        (
            {"best_by": "accuracy", "greater_is_better": True},
            "Set metric_for_best_model: eval_loss and greater_is_better: false",
        ),
        ({"best_by": "loss", "greater_is_better": True}, "the highest eval_loss"),
        (
            {"eval_steps": 10, "save_steps": 10},
            "patience: 3 is short for a run that is evaluated 99 times: runs of others "
            "often improved again later (docs/evidence.md). Set it to 10, or",
        ),
    ],
)
def test_each_obstacle_is_one_line_with_the_setting_to_write(
    change: dict[str, object], says: str
) -> None:
    (line,) = said(replace(BY_STEPS, **change))  # type: ignore[arg-type]
    assert line.startswith("early_termination.evaluation")
    assert says in line
    assert "\n" not in line
