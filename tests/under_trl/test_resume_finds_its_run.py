"""A resume goes on with the run of its checkpoint, and with no other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from plain import make_trainer, nan_from, runs, steps_of, watched
from transformers import TrainerCallback

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace

SAVING = {"save_strategy": "steps", "save_steps": 6}


def train(folder: Path, checkpoint: str | None = None, **options: Any) -> Any:
    options = {**SAVING, "max_steps": 12, "logging_steps": 4, **options}
    trainer = make_trainer(folder, GradientMonitorCallback(), **options)
    trainer.train(resume_from_checkpoint=checkpoint and str(folder / checkpoint))
    return trainer


def kill_at_step_7(folder: Path) -> None:
    class Kill(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 7:
                os._exit(9)

    if not (child := os.fork()):
        options = {**SAVING, "max_steps": 12, "logging_steps": 4}
        make_trainer(folder, GradientMonitorCallback(), Kill(), **options).train()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_a_killed_and_resumed_run_is_recorded_like_an_unbroken_one(
    tmp_path: Path,
) -> None:
    kill_at_step_7(tmp_path / "killed")
    train(tmp_path / "killed", "checkpoint-6")
    train(tmp_path / "unbroken")
    killed, unbroken = (steps_of(tmp_path / n) for n in ("killed", "unbroken"))
    assert [(o.step, o.samples_seen) for o in killed] == [
        (o.step, o.samples_seen) for o in unbroken
    ]
    assert {run.comparable for run in runs()} == {True}


def test_the_checkpoint_and_not_the_newest_trace_names_the_run(tmp_path: Path) -> None:
    train(tmp_path)
    first = runs()[0].id
    train(tmp_path, max_steps=2)  # a new run in the same folder
    train(tmp_path, "checkpoint-6", max_steps=14)
    history = {run.id: run for run in runs()}
    assert len(history) == 2
    assert history[first].step == 14
    assert history[first].samples_seen == 56


def test_without_the_file_a_trace_is_taken_only_if_it_holds_the_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path)
    first = runs()[0].id
    (tmp_path / "checkpoint-6" / "sftguide-run.json").unlink()
    train(tmp_path, max_steps=2)
    train(tmp_path, "checkpoint-6", max_steps=14)
    assert {run.id: run.step for run in runs()}[first] == 14

    (path,) = (p for p in find_traces(tmp_path) if first in p.name)
    path.unlink()
    train(tmp_path, "checkpoint-6", max_steps=14)
    new = runs()[-1]
    assert (new.step, new.samples_seen, new.comparable) == (14, 56, False)
    said = " ".join(capsys.readouterr().out.split())
    assert "the output folder has no trace of the steps before" in said


def test_steps_that_were_not_recorded_are_a_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path)
    (path,) = find_traces(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-8]) + "\n")
    last = read_trace(path).observations[-1].step
    assert last < 6
    train(tmp_path, "checkpoint-6", max_steps=14)
    said = " ".join(capsys.readouterr().out.split())
    assert f"steps {last + 1} to 6 were trained before this resume" in said or (
        f"step {last + 1} was trained before this resume" in said
    )
    (run,) = runs()
    assert (run.step, run.samples_seen, run.comparable) == (14, 56, False)


def test_a_resume_with_another_batch_is_not_comparable_and_stays_so(
    tmp_path: Path,
) -> None:
    train(tmp_path)
    train(tmp_path, "checkpoint-6", per_device_train_batch_size=8)
    (run,) = runs()
    assert not run.comparable
    (path,) = find_traces(tmp_path)
    assert not RunHistory().import_trace(read_trace(path)).comparable


def test_a_checkpoint_in_another_folder_knows_its_samples(tmp_path: Path) -> None:
    train(tmp_path / "a")
    shutil.copytree(tmp_path / "a" / "checkpoint-6", tmp_path / "b" / "checkpoint-6")
    train(tmp_path / "b", "checkpoint-6")
    first, second = runs()
    assert (first.id != second.id, second.samples_seen) == (True, 48)
    assert not second.comparable


def resume(folder: Path, action: str, **options: Any) -> int:
    trainer = make_trainer(
        folder,
        GradientMonitorCallback(),
        EarlyTerminationCallback(non_finite={"action": action}),
        max_steps=60,
        **options,
    )
    trainer.train(resume_from_checkpoint=str(folder / "checkpoint-20"))
    return int(trainer.state.global_step)


def test_a_run_that_a_rule_stopped_is_stopped_again(tmp_path: Path) -> None:
    """Also if the loss is finite now, as after a change of the data."""
    options = {"save_strategy": "steps", "save_steps": 4, "max_steps": 20}
    warned = EarlyTerminationCallback(non_finite={"action": "warn"})
    first = make_trainer(
        tmp_path, GradientMonitorCallback(), warned, kind=nan_from(6), **options
    )
    first.train()
    assert first.state.global_step == 20
    assert resume(tmp_path, "off") == 60
    assert 21 <= resume(tmp_path, "stop") <= 36


def test_a_stop_that_was_recorded_holds_after_a_resume(tmp_path: Path) -> None:
    trainer = watched(
        tmp_path,
        kind=nan_from(3),
        max_steps=30,
        logging_strategy="no",
        save_strategy="steps",
        save_steps=8,
    )
    trainer.train()
    assert trainer.state.global_step == 8
    again = watched(tmp_path, max_steps=60)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))
    assert again.state.global_step < 25
    assert runs()[-1].status == "terminated"
