"""A watched run is bit-identical to an unwatched one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from same_bits import assert_same_bits

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback

ARMS = {
    "full": {},
    "full, logged every 10 steps": {"logging_steps": 10},
    "full, clipped hard": {"max_grad_norm": 0.001},
    "full, with gradient checkpointing": {"gradient_checkpointing": True},
    "lora": {},
}


@pytest.mark.parametrize("arm", ARMS)
def test_a_watched_run_has_the_losses_and_weights_of_an_unwatched_one(
    train_trl: Callable[..., Any], adapter: Path, tmp_path: Path, arm: str
) -> None:
    overrides = {**ARMS[arm], "lora": adapter if arm == "lora" else None}
    callbacks = GradientMonitorCallback(), EarlyTerminationCallback(action="stop")
    unwatched = train_trl(output_dir=str(tmp_path / "a"), **overrides)
    again = train_trl(output_dir=str(tmp_path / "b"), **overrides)
    watched = train_trl(*callbacks, output_dir=str(tmp_path / "c"), **overrides)
    assert_same_bits(unwatched, again)
    assert_same_bits(unwatched, watched)


def test_a_broken_history_and_a_broken_trace_change_nothing(
    train_trl: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b").mkdir()
    not_a_database = tmp_path / "notes.txt"
    not_a_database.write_text("these are notes, not a database\n" * 100)
    unwatched = train_trl(output_dir=str(tmp_path / "a"))
    monitor = GradientMonitorCallback(storage=str(not_a_database))
    watched = train_trl(monitor, output_dir=str(tmp_path / "b"))
    assert_same_bits(unwatched, watched)
    said = capsys.readouterr().out
    assert said.count("notes.txt: is damaged, or not a run history") == 1
    assert f"sftguide runs import {tmp_path / 'b'}" in said
    assert len(watched.trace.observations) == 12
    assert not_a_database.read_text().startswith("these are notes")


def test_the_trainer_has_its_own_methods_back_afterwards(
    train_trl: Callable[..., Any],
) -> None:
    trainer = train_trl(GradientMonitorCallback()).trainer
    assert "training_step" not in vars(trainer)
    assert "log" not in vars(trainer)
    assert "clip_grad_norm_" not in vars(trainer.accelerator)


def test_no_class_of_the_host_is_patched(train_trl: Callable[..., Any]) -> None:
    from accelerate import Accelerator
    from trl import SFTTrainer

    names = ("training_step", "log", "train")
    before = [getattr(SFTTrainer, n) for n in names], Accelerator.clip_grad_norm_
    train_trl(GradientMonitorCallback())
    assert before == (
        [getattr(SFTTrainer, n) for n in names],
        Accelerator.clip_grad_norm_,
    )


def test_one_callback_watches_two_trainings_one_after_the_other(
    train_trl: Callable[..., Any], tmp_path: Path
) -> None:
    monitor = GradientMonitorCallback()
    first = train_trl(monitor, output_dir=str(tmp_path / "a"))
    second = train_trl(monitor, output_dir=str(tmp_path / "b"))
    assert first.run.id != second.run.id
    assert first.run.key == second.run.key
    assert [o.grad_norm for o in first.trace.observations] == [
        o.grad_norm for o in second.trace.observations
    ]
