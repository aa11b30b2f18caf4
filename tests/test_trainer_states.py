"""Runs that were not watched, from what transformers leaves behind."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from axolotl_sftguide.errors import TraceError
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.trainer_states import find_trainer_states, read_trainer_state


def state(steps: int = 40, max_steps: int = 40, **log: Any) -> dict[str, Any]:
    history = [
        {"epoch": s / 10, "loss": 2.0 / s, "learning_rate": 1e-4, "step": s, **log}
        for s in range(10, steps + 1, 10)
    ]
    return {"global_step": steps, "max_steps": max_steps, "log_history": history}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_losses_norms_and_the_last_evaluation_are_read(tmp_path: Path) -> None:
    found = state(grad_norm=0.5)
    found["log_history"].append({"eval_loss": 1.5, "step": 40})
    found["log_history"].append({"train_runtime": 3.0, "step": 40})
    path = write(tmp_path / "my-run" / "trainer_state.json", found)
    run = RunHistory().import_trace(read_trainer_state(path))
    assert (run.name, run.status, run.step, run.max_steps) == (
        "my-run",
        "finished",
        40,
        40,
    )
    assert (run.loss, run.grad_norm) == (0.05, 0.5)
    assert (run.scores[0].metric, run.scores[0].value, run.scores[0].goal) == (
        "eval_loss",
        1.5,
        "min",
    )
    assert not run.comparable


def test_each_evaluation_set_gives_a_score(tmp_path: Path) -> None:
    found = state()
    for value in (2.0, 1.5):
        logs = ({f"eval_{name}_loss": value, "step": 40} for name in ("a", "b"))
        found["log_history"].extend(logs)
    path = write(tmp_path / "trainer_state.json", found)
    run = RunHistory().import_trace(read_trainer_state(path))
    scores = {score.metric: (score.value, score.goal) for score in run.scores}
    assert scores == {"eval_a_loss": (1.5, "min"), "eval_b_loss": (1.5, "min")}


def test_before_4_38_there_is_no_norm(tmp_path: Path) -> None:
    path = write(tmp_path / "trainer_state.json", state())
    steps = read_trainer_state(path).observations
    assert [o.step for o in steps] == [10, 20, 30, 40]
    assert all(math.isnan(o.grad_norm) for o in steps)


def test_a_nan_as_python_writes_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "trainer_state.json", state(grad_norm=math.nan))
    assert "NaN" in path.read_text()
    assert math.isnan(read_trainer_state(path).observations[-1].grad_norm)


def test_of_many_checkpoints_the_newest_state_wins(tmp_path: Path) -> None:
    for step in (10, 100, 20):
        checkpoint = tmp_path / "out" / f"checkpoint-{step}"
        write(checkpoint / "trainer_state.json", state(step, 400))
    (path,) = find_trainer_states(tmp_path)
    assert path.parent.name == "checkpoint-100"
    run = RunHistory().import_trace(read_trainer_state(path))
    assert (run.name, run.status, run.reason) == (
        "out",
        "failed",
        "the trainer state ends at step 100",
    )
    last = write(tmp_path / "out" / "trainer_state.json", state())
    assert find_trainer_states(tmp_path) == [last]


def test_where_a_trace_lies_the_state_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "out" / "checkpoint-10" / "trainer_state.json", state())
    write(tmp_path / "out" / "sftguide-trace-x.jsonl", "")
    assert find_trainer_states(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        "{}",
        {"log_history": []},
        {"log_history": [3], "global_step": 1, "max_steps": 1},
        {"log_history": [{"loss": "x", "step": 1}], "global_step": 1, "max_steps": 1},
        json.dumps(state())[:-30],
    ],
)
def test_a_broken_state_gets_one_clear_line(tmp_path: Path, content: Any) -> None:
    path = write(tmp_path / "trainer_state.json", content)
    with pytest.raises(TraceError) as caught:
        read_trainer_state(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_run_that_a_callback_ended_early_is_finished(tmp_path: Path) -> None:
    found = state(steps=20)
    control = {"args": {"should_training_stop": True}, "attributes": {}}
    found["stateful_callbacks"] = {"TrainerControl": control}
    path = write(tmp_path / "run" / "checkpoint-20" / "trainer_state.json", found)
    run = RunHistory().import_trace(read_trainer_state(path))
    assert (run.status, run.step, run.reason) == (
        "finished",
        20,
        "ended early at step 20",
    )


def test_the_step_is_that_of_the_state_and_not_of_its_last_log(tmp_path: Path) -> None:
    found = state(steps=20, max_steps=27) | {"global_step": 27}
    path = write(tmp_path / "run" / "trainer_state.json", found)
    assert RunHistory().import_trace(read_trainer_state(path)).step == 27
    silent = {"global_step": 8, "max_steps": 8, "log_history": []}
    path = write(tmp_path / "silent" / "trainer_state.json", silent)
    assert RunHistory().import_trace(read_trainer_state(path)).step == 8


def test_trials_of_a_search_are_left_to_their_traces(tmp_path: Path) -> None:
    write(tmp_path / "sftguide-trace-x.jsonl", "a trace")
    trial = state() | {"is_hyper_param_search": True}
    write(tmp_path / "run-0" / "checkpoint-8" / "trainer_state.json", trial)
    other = write(tmp_path / "other" / "trainer_state.json", state())
    assert find_trainer_states(tmp_path) == [other]
