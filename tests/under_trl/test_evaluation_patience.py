"""A run whose evaluations no longer improve is stopped, and its best is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from same_bits import assert_same_bits
from worsen import Worsen

from axolotl_sftguide import (
    EarlyTerminationCallback,
    GradientMonitorCallback,
    watch,
)
from axolotl_sftguide.runs.marker import MARKER, read_marker

BEST = 8
"""After this step the run gets worse; the evaluations are at every fourth."""

EVALUATED = {"eval_strategy": "steps", "eval_steps": 4, "max_steps": 40}
SAVED = {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 1}


def callbacks(**block: Any) -> list[Any]:
    rules = EarlyTerminationCallback(action="off", evaluation={"patience": 2, **block})
    return [Worsen(BEST), GradientMonitorCallback(), rules]


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("checkpoint-*")}


def evaluated(outcome: Any) -> dict[int, float]:
    logs = outcome.trainer.state.log_history
    return {log["step"]: log["eval_loss"] for log in logs if "eval_loss" in log}


def remarks(said: str) -> list[str]:
    """The lines about the rule, without those of a warning or of a stop."""
    return [
        line.removeprefix("sftguide: warning: ")
        for line in said.splitlines()
        if line.startswith("sftguide: warning: early_termination.evaluation")
    ]


def test_the_run_stops_at_the_evaluation_and_the_best_checkpoint_stays(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_trl(*callbacks(), **EVALUATED, **SAVED)
    losses = evaluated(outcome)
    assert min(losses, key=losses.__getitem__) == BEST
    assert sorted(losses) == [4, 8, 12, 16]
    run = outcome.run
    assert (run.status, run.step) == ("terminated", 16)
    assert run.reason.startswith("evaluation: eval_loss has not fallen below")
    (decision,) = run.decisions
    assert (decision.rule, decision.action, decision.step) == ("evaluation", "stop", 16)
    assert decision.samples_seen == 4 * 16
    assert decision.figures["best"] == losses[BEST]
    # The last one, which is the newest, and the best one, beyond save_total_limit.
    assert checkpoints(outcome.output_dir) == {"checkpoint-8", "checkpoint-16"}
    best = str(outcome.output_dir / "checkpoint-8")
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert (marker.rule, marker.step, marker.found_at) == ("evaluation", 16, 16)
    assert (marker.best_step, marker.best_checkpoint) == (BEST, best)
    assert marker.last_good_checkpoint == best
    assert not marker.weights_are_lost
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "stopped at" in x]
    assert "stopped at step 16 of 40 (64 samples) by evaluation: eval_loss" in line
    assert "of step 8 in 2 evaluations" in line
    assert f"Best checkpoint: {best}" in line
    assert "saved now is that of step 16, not the best one" in line
    assert MARKER in line


def test_without_the_rule_that_checkpoint_would_be_deleted(
    train_trl: Callable[..., Any],
) -> None:
    watched = GradientMonitorCallback(), EarlyTerminationCallback(action="stop")
    outcome = train_trl(
        Worsen(BEST), *watched, **EVALUATED | {"max_steps": 16}, **SAVED
    )
    assert checkpoints(outcome.output_dir) == {"checkpoint-16"}
    assert outcome.trainer.state.best_model_checkpoint is None


def test_a_run_that_goes_on_improving_ends_with_its_last_checkpoint_and_the_best(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """With `save_total_limit: 1`, transformers deletes all but the best at the end."""
    outcome = train_trl(
        *callbacks(patience=5), **EVALUATED | {"max_steps": 16}, **SAVED
    )
    assert outcome.run.status == "finished"
    assert read_marker(outcome.output_dir) is None
    assert checkpoints(outcome.output_dir) == {"checkpoint-8", "checkpoint-16"}
    said = capsys.readouterr().out
    assert "at step 8 of 16. Best checkpoint: " in said
    assert outcome.trainer.state.best_model_checkpoint is None
    assert "_save_checkpoint" not in vars(outcome.trainer)
    state = outcome.output_dir / "checkpoint-16" / "trainer_state.json"
    named = json.loads(state.read_text())["best_model_checkpoint"]
    assert named == str(outcome.output_dir / "checkpoint-8")


def test_the_order_of_the_callbacks_does_not_matter(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(*reversed(callbacks()), **EVALUATED, **SAVED)
    assert (outcome.run.status, outcome.run.step) == ("terminated", 16)
    assert [e["step"] for e in outcome.trace.events if e["event"] == "evaluation"] == [
        4,
        8,
        12,
        16,
    ]


def test_with_the_action_warn_the_run_goes_on_and_its_best_is_kept(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_trl(
        *callbacks(action="warn"), **EVALUATED | {"max_steps": 24}, **SAVED
    )
    assert outcome.run.status == "finished"
    assert [(d.rule, d.action, d.step) for d in outcome.run.decisions] == [
        ("evaluation", "warn", 16)
    ]
    assert checkpoints(outcome.output_dir) == {"checkpoint-8", "checkpoint-24"}
    assert "set early_termination.evaluation.action: stop" in capsys.readouterr().out


def test_nothing_is_stopped_at_the_last_step(train_trl: Callable[..., Any]) -> None:
    outcome = train_trl(*callbacks(), **EVALUATED | {"max_steps": 16})
    assert outcome.run.status == "finished"
    assert not outcome.run.decisions


def test_epochs_can_be_counted_instead_of_steps(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Sixteen steps are one epoch; a rate of zero improves nothing."""
    outcome = train_trl(
        GradientMonitorCallback(),
        EarlyTerminationCallback(action="off", evaluation={"patience": 1}),
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        max_steps=-1,
        num_train_epochs=4,
        learning_rate=0.0,
        logging_steps=12,
        per_device_train_batch_size=8,
    )
    assert (outcome.run.status, outcome.run.step) == ("terminated", 32)
    assert checkpoints(outcome.output_dir) == {"checkpoint-16", "checkpoint-32"}
    assert not remarks(capsys.readouterr().out)


def test_where_no_checkpoint_is_at_the_best_evaluation_the_nearest_is_kept(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_trl(*callbacks(), **EVALUATED, **SAVED | {"save_steps": 3})
    assert outcome.run.step == 16
    nearest = outcome.output_dir / "checkpoint-9"
    assert checkpoints(outcome.output_dir) == {"checkpoint-9", "checkpoint-15"}
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert (marker.best_step, marker.best_checkpoint) == (BEST, str(nearest))
    said = capsys.readouterr().out
    assert f"the nearest is {nearest}, 1 step after it" in said
    (remark,) = remarks(said)
    assert "evaluated every 4 steps and saved every 3 steps" in remark
    assert remark.endswith("set save_strategy='steps', save_steps=4")


def test_checkpoints_of_an_earlier_run_in_the_folder_are_not_taken_for_its_own(
    train_trl: Callable[..., Any],
) -> None:
    train_trl(max_steps=10, save_strategy="steps", save_steps=8)
    outcome = train_trl(*callbacks(), **EVALUATED, **SAVED | {"save_steps": 5})
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert marker.best_checkpoint == str(outcome.output_dir / "checkpoint-10")


@pytest.mark.parametrize("trace", [True, False])
def test_a_resumed_run_counts_on_from_the_evaluations_before(
    train_trl: Callable[..., Any], trace: bool
) -> None:
    """Without a trace, the checkpoint's own state has the evaluations."""

    def train(last: int, **more: Any) -> Any:
        found = callbacks()
        found[1].settings = found[1].settings.model_copy(
            update={
                "monitor": found[1].settings.monitor.model_copy(update={"trace": trace})
            }
        )
        return train_trl(*found, **EVALUATED | {"max_steps": last}, **SAVED, **more)

    first = train(12)
    assert first.trainer.state.global_step == 12
    start = str(first.output_dir / "checkpoint-12")
    resumed = train(40, train_kwargs={"resume_from_checkpoint": start})
    assert resumed.trainer.state.global_step == 16
    marker = read_marker(resumed.output_dir)
    assert marker is not None
    assert marker.best_step == BEST
    assert marker.best_checkpoint == str(resumed.output_dir / "checkpoint-8")
    assert checkpoints(resumed.output_dir) == {"checkpoint-8", "checkpoint-16"}


def test_a_stopped_run_is_stopped_again_and_more_patience_lets_it_go_on(
    train_trl: Callable[..., Any],
) -> None:
    stopped = train_trl(*callbacks(), **EVALUATED, **SAVED)
    start = {"resume_from_checkpoint": str(stopped.output_dir / "checkpoint-16")}
    again = train_trl(*callbacks(), **EVALUATED, **SAVED, train_kwargs=start)
    assert (again.run.status, again.run.step) == ("terminated", 17)
    marker = read_marker(again.output_dir)
    assert marker is not None
    assert (marker.found_at, marker.best_step) == (16, BEST)
    patient = train_trl(
        *callbacks(patience=4), **EVALUATED, **SAVED, train_kwargs=start
    )
    assert (patient.run.status, patient.run.step) == ("terminated", 24)


def test_a_trainer_that_names_its_best_checkpoint_is_left_alone(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_trl(*callbacks(), **EVALUATED, **SAVED, load_best_model_at_end=True)
    best = str(outcome.output_dir / "checkpoint-8")
    assert outcome.run.step == 16
    assert outcome.trainer.state.best_model_checkpoint == best
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert marker.loaded_checkpoint == marker.best_checkpoint == best
    said = capsys.readouterr().out
    assert "The trainer loads its own best checkpoint now" in said
    assert not remarks(said)


def test_a_trainer_that_keeps_another_best_is_told_of(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train_trl(
        *callbacks(),
        **EVALUATED,
        **SAVED,
        metric_for_best_model="mean_token_accuracy",
    )
    (remark,) = remarks(capsys.readouterr().out)
    assert "the highest eval_mean_token_accuracy (metric_for_best_model)" in remark
    assert "Set metric_for_best_model: eval_loss and greater_is_better: false" in remark


def test_another_metric_of_the_trainer_can_be_watched(
    train_trl: Callable[..., Any],
) -> None:
    block = {"metric": "mean_token_accuracy", "goal": "max"}
    outcome = train_trl(*callbacks(**block), **EVALUATED)
    assert outcome.run.status == "terminated"
    assert outcome.run.reason.startswith(
        "evaluation: eval_mean_token_accuracy has not risen above"
    )


def test_a_metric_that_no_evaluation_has_is_named_once_with_those_it_has(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    block = {"metric": "eval_accuracy", "goal": "max"}
    outcome = train_trl(*callbacks(**block), **EVALUATED)
    assert outcome.run.status == "finished"
    told = [x for x in remarks(capsys.readouterr().out) if "cannot act" in x]
    assert len(told) == 1
    assert "eval_accuracy is not among the metrics of the evaluation" in told[0]
    assert "eval_loss" in told[0]
    assert "eval_runtime" not in told[0]


def test_several_evaluation_sets_need_the_metric_of_one_of_them(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hosts import make_sft_trainer

    def train(name: str, metric: str) -> Any:
        trainer, _ = make_sft_trainer(
            base,
            data,
            tmp_path,
            *callbacks(metric=metric),
            output_dir=str(tmp_path / name),
            **EVALUATED,
        )
        rows = trainer.eval_dataset
        trainer.eval_dataset = {"old": rows, "new": rows.select(range(4))}
        trainer.train()
        return trainer.state.global_step, remarks(capsys.readouterr().out)

    step, (unclear, *_) = train("unclear", "eval_loss")
    assert step == 40
    assert "none reports eval_loss" in unclear
    assert "such as eval_old_loss, eval_new_loss" in unclear
    step, told = train("clear", "eval_new_loss")
    assert step == 16
    assert not [line for line in told if "cannot act" in line]


def test_a_run_without_evaluations_says_so_at_the_start(
    train_trl: Callable[..., Any],
    base: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_trl(*callbacks(), max_steps=2)
    (remark,) = remarks(capsys.readouterr().out)
    assert "cannot act: the run has no evaluation set. Pass eval_dataset" in remark
    train_trl(*callbacks(), max_steps=2, eval_strategy="no")
    (remark,) = remarks(capsys.readouterr().out)
    assert 'the run is never evaluated. Set eval_strategy="steps"' in remark


def test_a_run_with_too_few_evaluations_says_so_at_the_start(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    schedule = EVALUATED | {"max_steps": 12}
    train_trl(*callbacks(), **schedule, **SAVED)
    (remark,) = remarks(capsys.readouterr().out)
    assert "evaluated 2 times before its last step, and patience 2 needs 3" in remark
    train_trl(*callbacks(), **schedule | {"max_steps": 13}, **SAVED)
    assert not remarks(capsys.readouterr().out)


def test_the_evaluation_before_the_first_step_counts(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that only makes its base model worse has no best checkpoint."""
    rules = EarlyTerminationCallback(action="off", evaluation={"patience": 2})
    outcome = train_trl(
        Worsen(0), rules, **EVALUATED, **SAVED, eval_on_start=True, learning_rate=0.0
    )
    assert outcome.run.step == 8
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert (marker.best_step, marker.best_checkpoint) == (0, None)
    assert "That is the model before the first step" in capsys.readouterr().out


def test_a_run_that_diverges_at_an_evaluation_saves_nothing_more(
    train_trl: Callable[..., Any],
) -> None:
    """The rule on evaluations keeps a save that is due; the others cancel it."""
    outcome = train_trl(
        GradientMonitorCallback(),
        EarlyTerminationCallback(non_finite={"steps": 8}, evaluation={"patience": 9}),
        **EVALUATED,
        **SAVED,
        learning_rate=1e30,
        max_grad_norm=0.0,
        logging_strategy="no",
    )
    assert outcome.run.reason.startswith("non_finite")
    stopped_at = outcome.run.step
    assert f"checkpoint-{stopped_at}" not in checkpoints(outcome.output_dir)


def test_weights_whose_evaluations_are_nan_are_not_saved_any_more(
    train_trl: Callable[..., Any],
) -> None:
    from transformers import TrainerCallback

    class Break(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
            if state.global_step == 9:
                for parameter in kw["model"].parameters():
                    parameter.data.fill_(float("nan"))

    rules = EarlyTerminationCallback(
        action="off", non_finite={"action": "off"}, evaluation={"patience": 2}
    )
    outcome = train_trl(Break(), rules, **EVALUATED, **SAVED)
    assert outcome.run.step == 16
    assert "the last is NaN" in outcome.run.reason
    # The one of step 12 was saved while the rule still waited.
    assert checkpoints(outcome.output_dir) == {"checkpoint-8", "checkpoint-12"}
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert marker.best_checkpoint == str(outcome.output_dir / "checkpoint-8")


def test_watching_evaluations_changes_no_bit(
    train_trl: Callable[..., Any], tmp_path: Path
) -> None:
    plain = train_trl(output_dir=str(tmp_path / "a"), **EVALUATED | {"max_steps": 12})
    rules = EarlyTerminationCallback(evaluation={})
    watched = train_trl(
        rules, output_dir=str(tmp_path / "b"), **EVALUATED | {"max_steps": 12}
    )
    assert_same_bits(plain, watched)


def test_watch_takes_the_block(base: Path, data: Path, tmp_path: Path) -> None:
    from hosts import make_sft_trainer

    trainer, _ = make_sft_trainer(
        base, data, tmp_path, Worsen(BEST), **EVALUATED, **SAVED
    )
    watch(trainer, early_termination={"evaluation": {"patience": 2}})
    trainer.train()
    assert trainer.state.global_step == 16


def test_the_held_out_loss_of_one_source_can_be_watched(
    base: Path, tmp_path: Path
) -> None:
    from datasets import load_dataset
    from hosts import make_sft_trainer
    from tiny import rows, write_rows

    marked = [row | {"source": "ab"[i % 2]} for i, row in enumerate(rows(32))]
    path = write_rows(tmp_path / "marked.jsonl", marked)
    data = load_dataset("json", data_files=str(path), split="train")
    metric = "eval_sftguide/loss/b"
    rules = EarlyTerminationCallback(evaluation={"metric": metric, "patience": 2})
    monitor = GradientMonitorCallback(
        loss_by_source="source", train_dataset=data, eval_dataset=data
    )
    trainer, _ = make_sft_trainer(
        base, path, tmp_path, Worsen(BEST), monitor, rules, **EVALUATED
    )
    trainer.train()
    assert trainer.state.global_step == 16
    marker = read_marker(tmp_path / "out")
    assert marker is not None
    assert marker.reason.startswith(f"{metric} has not fallen below")
