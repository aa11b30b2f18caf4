"""`sftguide sweep` with real trainings, as a user calls it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hold
import pytest
from click.testing import CliRunner
from postgres import Server
from sweeper import STUDY, Sweeper, kill

from axolotl_sftguide.cli import main
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace


@pytest.fixture
def evaluating(data: Path) -> dict[str, Any]:
    """Evaluates now and then, so that there is an `eval_loss`."""
    held_out = {"path": str(data), "ds_type": "json", "type": "chat_template"}
    return {"test_datasets": [held_out], "eval_strategy": "steps", "eval_steps": 6}


def test_trials_are_trained_judged_and_stopped(
    sweeper: Callable[..., Sweeper], evaluating: dict[str, Any]
) -> None:
    sweep = sweeper(**evaluating, max_grad_norm=0.0)
    sweep.space = {"learning_rate": [1e-3, 1e30], "max_steps": 30}
    code, said = sweep.run("--workers", "2")
    assert code == 0, said
    good, bad = sweep.study.trials
    assert (good.state.name, bad.state.name) == ("COMPLETE", "PRUNED")
    runs = {run.id: run for run in RunHistory(sweep.storage).runs(study=STUDY)}
    finished = runs[good.user_attrs["sftguide_run"]]
    stopped = runs[bad.user_attrs["sftguide_run"]]
    assert (finished.name, stopped.name) == ("trial-0000", "trial-0001")
    assert (finished.status, stopped.status) == ("finished", "terminated")
    assert finished.config["learning_rate"] == 1e-3
    assert good.value == finished.score("eval_loss").value  # type: ignore[union-attr]
    assert good.value == last_evaluation(sweep.out / "trial-0000")
    each_step = list(range(4, 121, 4))  # a run under 64 steps keeps them all
    assert list(good.intermediate_values) == each_step
    assert bad.user_attrs["why"] == stopped.reason
    lines = said.splitlines()
    assert lines[0] == (
        f"study {STUDY}: 2 trials, sampler grid, lowest eval_loss is best"
    )
    assert any(
        line.startswith("trial-0000 finished: eval_loss ")
        and line.endswith("; best so far (learning_rate 0.001)")
        for line in lines
    )
    assert any(line.startswith("trial-0001 stopped at step ") for line in lines)
    assert f"study {STUDY}: 1 finished, 1 stopped; {stopped.steps_saved} steps" in said
    assert f"best: trial-0000, eval_loss {good.value:.4g}" in said
    # Called again there is nothing left to train, and it says the same.
    code, again = sweep.run("--workers", "2")
    assert code == 0
    assert "2 trials, 2 done" in again
    assert len(find_traces(sweep.out)) == 2


def last_evaluation(folder: Path) -> float:
    (path,) = find_traces(folder)
    found = [e for e in read_trace(path).events if e["event"] == "evaluation"]
    return float(found[-1]["metrics"]["eval_loss"])


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_and_no_trial_behind(
    sweeper: Callable[..., Sweeper],
) -> None:
    sweep = sweeper(max_steps=200_000)
    sweep.space = {"learning_rate": [1e-3, 2e-3, 3e-3]}
    judge = [*"--metric m --goal max --command".split(), "echo 1"]
    process = sweep.begin("--workers", "2", *judge)
    sweep.wait_for(lambda: sweep.steps(0) and sweep.steps(1))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "interrupted: trainings ended, 3 trials left" in said
    assert "Traceback" not in said
    assert sweep.trainings() == []
    assert sorted(sweep.states()) == ["FAIL"] * 2 + ["WAITING"] * 3
    rates = {
        t.system_attrs["fixed_params"]["learning_rate"] for t in sweep.study.trials
    }
    assert rates == {1e-3, 2e-3, 3e-3}
    for run in RunHistory(sweep.storage).runs(study=STUDY):
        assert run.shown_status == "failed"
        assert "interrupted: its sweep was ended" in (run.reason or "")
        trace = read_trace(run.trace_path or "")
        assert (trace.end or {})["status"] == "failed"


@pytest.mark.slow
def test_after_a_kill_a_training_is_waited_for_or_resumed(
    sweeper: Callable[..., Sweeper],
) -> None:
    """Of two trainings of a killed sweep one still runs and one was killed too."""
    steps = hold.STEP + 5
    sweep = sweeper(
        max_steps=steps,
        save_strategy="steps",
        save_steps=10,
        plugins=["axolotl_sftguide.SFTGuidePlugin", "hold_plugin.HoldPlugin"],
    )
    sweep.space = {"learning_rate": [1e-3, 2e-3]}
    judge = [*"--metric m --goal max --command".split(), "echo 1"]
    process = sweep.begin("--workers", "2", *judge)
    sweep.wait_for(lambda: sweep.held(0) and sweep.held(1))
    process.kill()
    process.communicate()
    kill(sweep.trainings("trial-0001"))
    first, killed = sweep.held(0), sweep.held(1)
    # Transformers writes this file last; a kill while saving leaves none.
    (sweep.out / "trial-0001" / "checkpoint-20" / "trainer_state.json").unlink()
    assert sweep.states() == ["RUNNING", "RUNNING"]
    process = sweep.begin("--workers", "2", *judge)
    # Held again after its resume: by now the other worker waits for the other trial.
    sweep.wait_for(lambda: sweep.held(1) != killed)
    (sweep.out / hold.RELEASE).touch()
    said, _ = process.communicate(timeout=500)
    assert process.returncode == 0, said
    assert said.count("its worker is gone; queued again") == 2
    assert sweep.states() == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert sweep.held(0) == first
    for trial, resumed in ((0, []), (1, [10])):
        (path,) = find_traces(sweep.out / f"trial-{trial:04d}")
        trace = read_trace(path)
        assert [o.step for o in trace.observations] == list(range(1, steps + 1))
        assert [e["step"] for e in trace.events if e["event"] == "resume"] == resumed
    assert sweep.trainings() == []


@pytest.mark.slow
def test_two_sweeps_on_postgresql_share_the_trials(
    sweeper: Callable[..., Sweeper], postgres: Server
) -> None:
    sweep = sweeper()
    sweep.storage = postgres.new_database()
    sweep.space = {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    judge = [*"--metric m --goal min --trials 4 --command".split(), "echo 1"]
    two = [sweep.begin(*judge) for _ in range(2)]
    said = [process.communicate(timeout=500)[0] for process in two]
    assert [process.returncode for process in two] == [0, 0], said
    assert sweep.states() == ["COMPLETE"] * 4
    assert len(RunHistory(sweep.storage).runs(study=STUDY)) == 4
    assert all(text.count(" finished: m 1") >= 1 for text in said)
    assert "@" not in "".join(p.read_text() for p in sweep.out.rglob("config.yml"))


@pytest.mark.slow
def test_a_config_that_axolotl_refuses_ends_the_sweep_with_its_line(
    sweeper: Callable[..., Sweeper],
) -> None:
    sweep = sweeper(micro_batch_size="many")
    sweep.space = {"learning_rate": [1e-3, 2e-3]}
    judge = [*"--metric m --goal max --command".split(), "echo 1"]
    code, said = sweep.run(*judge)
    assert code == 2
    assert "Traceback" not in said
    assert (
        "trial-0000 could not start training: the training ended with status 1" in said
    )
    assert "axolotl.log" in said
    assert sweep.states() == ["FAIL", "WAITING"]


@pytest.mark.slow
def test_a_key_that_axolotl_does_not_know_is_refused_before_any_training(
    sweeper: Callable[..., Sweeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the child process that reads its keys imports no file of the user's."""
    sweep = sweeper(val_set_size=0.1)
    sweep.space = {"learning_rat": [1e-3, 2e-3], "weight_decay": [0.0, 0.1]}
    (sweep.folder / "pydantic.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(sweep.folder)
    done = CliRunner().invoke(main, ["sweep", *sweep.words()])
    assert done.exit_code == 2
    assert done.stderr.strip() == (
        "Error: learning_rat: is not a key of Axolotl. Did you mean 'learning_rate'?"
    )
    assert not sweep.out.exists()


@pytest.mark.slow
def test_a_failing_command_costs_no_training(
    sweeper: Callable[..., Sweeper],
) -> None:
    sweep = sweeper()
    sweep.space = {"learning_rate": [1e-3, 2e-3]}
    words = ["--metric", "five", "--goal", "max", "--command"]
    code, said = sweep.run(*words, "sh -c 'echo no such file >&2; exit 3'")
    assert code == 2, said
    assert "the sweep ends, because its command fails" in said
    assert "exit status 3: no such file" in said
    assert sweep.states() == ["FAIL", "FAIL"]
    trained = {run.id: run.status for run in RunHistory(sweep.storage).runs()}
    assert list(trained.values()) == ["finished", "finished"]

    code, said = sweep.run(*words, "echo 5")
    assert code == 0, said
    assert sweep.states() == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    runs = RunHistory(sweep.storage).runs()
    assert {run.id: run.status for run in runs} == trained
    assert [run.score("five").value for run in runs] == [5.0, 5.0]  # type: ignore[union-attr]


def test_a_command_that_does_not_exist_is_refused_before_any_training(
    sweeper: Callable[..., Sweeper],
) -> None:
    sweep = sweeper()
    words = ["--metric", "five", "--goal", "max", "--command", "no-such-program 1"]
    code, said = sweep.run(*words)
    assert code == 2
    assert "--command: 'no-such-program' is not a program that can be run" in said
    assert not sweep.out.exists()


@pytest.mark.slow
def test_a_value_that_a_command_does_not_print_fails_the_trial_alone(
    sweeper: Callable[..., Sweeper],
) -> None:
    sweep = sweeper()
    sweep.space = {"learning_rate": [1e-3, 2e-3]}
    ask = "sh -c 'grep -q learning_rate..0.001 {output_dir}/config.yml && echo 5'"
    code, said = sweep.run(
        "--workers", "2", "--metric", "five", "--goal", "max", "--command", ask
    )
    assert code == 0, said
    assert sorted(sweep.states()) == ["COMPLETE", "FAIL"]
    assert "exit status 1: no error message" in said
    (run,) = [r for r in RunHistory(sweep.storage).runs() if r.scores]
    assert (run.scores[0].metric, run.scores[0].value) == ("five", 5.0)
    scored = read_trace(run.trace_path or "").events
    assert json.dumps(scored).count('"metric": "five"') == 1
