"""However a run ends, the trace and the history say how."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from forked import Forked
from transformers import TrainerCallback

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace

SCRIPT = """
import sys, time
from pathlib import Path
from hosts import make_sft_trainer
from transformers import TrainerCallback
from axolotl_sftguide import GradientMonitorCallback

class Slow(TrainerCallback):
    def on_step_end(self, *args, **kwargs):
        time.sleep(0.05)
        END

if __name__ == "__main__":
    base, data, out = map(Path, sys.argv[1:4])
    trainer, _ = make_sft_trainer(
        base, data, out, GradientMonitorCallback(), Slow(), max_steps=2000,
        logging_steps=5,
    )
    trainer.train()
"""


@pytest.fixture
def start(
    forked: Forked, base: Path, data: Path, tmp_path: Path
) -> Callable[[str], BaseProcess]:
    def begin(script: str) -> BaseProcess:
        path = tmp_path / "train.py"
        path.write_text(script)
        log = path.with_suffix(".log")
        return forked.begin(path, base, data, tmp_path, log=log)

    return begin


def test_kill_9_leaves_every_step_up_to_the_last_log_and_a_dead_run(
    start: Callable[[str], BaseProcess], tmp_path: Path
) -> None:
    process = start(SCRIPT.replace("END", "pass"))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        paths = find_traces(tmp_path) if (tmp_path / "out").exists() else []
        if paths and len(paths[0].read_text().splitlines()) > 20:
            break
        time.sleep(0.1)
    (before,) = RunHistory().runs()
    assert before.shown_status == "running"
    os.kill(before.process_id, signal.SIGKILL)
    process.join(120)

    (path,) = find_traces(tmp_path)
    trace = read_trace(path)
    steps = [o.step for o in trace.observations]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= 15
    assert len(steps) % 5 == 0 or trace.torn
    (run,) = RunHistory().runs()
    assert (run.status, run.shown_status) == ("running", "dead")


def test_sys_exit_in_mid_run_is_recorded_as_failed(
    start: Callable[[str], BaseProcess], tmp_path: Path
) -> None:
    end = "if args[1].global_step == 7: sys.exit(3)"
    process = start(SCRIPT.replace("END", end))
    process.join(120)
    assert process.exitcode == 3
    (run,) = RunHistory().runs()
    assert run.status == "failed"
    (path,) = find_traces(tmp_path)
    assert len(read_trace(path).observations) == 7


def test_an_error_in_a_training_step_is_recorded_and_reraised(
    train_trl: Callable[..., Any], tmp_path: Path
) -> None:
    from transformers import TrainerCallback

    class Break(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
            if state.global_step == 4:
                kw["model"].forward = fail

    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError("out of memory on the card")

    with pytest.raises(MemoryError, match="out of memory"):
        train_trl(GradientMonitorCallback(), Break())
    (run,) = RunHistory().runs()
    assert run.status == "failed"
    assert run.reason == "MemoryError: out of memory on the card"
    (path,) = find_traces(tmp_path)
    assert [o.step for o in read_trace(path).observations] == [1, 2, 3, 4]


def test_an_error_that_leaves_the_device_unreadable_is_recorded(
    train_trl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a CUDA error every further call to the device fails."""
    from axolotl_sftguide.monitor.readout import StepReadout

    class Break(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
            if state.global_step == 4:
                kw["model"].forward = fail

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(StepReadout, "read", fail)
    with pytest.raises(RuntimeError, match="device-side assert"):
        train_trl(GradientMonitorCallback(), Break(), logging_steps=10)
    (run,) = RunHistory().runs()
    assert run.status == "failed"
    assert run.reason == "RuntimeError: CUDA error: device-side assert triggered"


def test_what_the_host_evaluates_is_in_the_trace(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(GradientMonitorCallback(), eval_strategy="steps", eval_steps=4)
    found = [e for e in outcome.trace.events if e["event"] == "evaluation"]
    logged = [log for log in outcome.trainer.state.log_history if "eval_loss" in log]
    assert [e["step"] for e in found] == [4, 8, 12]
    assert [e["metrics"]["eval_loss"] for e in found] == [
        log["eval_loss"] for log in logged
    ]
    (score,) = outcome.run.scores
    assert (score.metric, score.value) == ("eval_loss", logged[-1]["eval_loss"])


def test_a_resumed_run_continues_its_trace(train_trl: Callable[..., Any]) -> None:
    saving = {"save_strategy": "steps", "save_steps": 4}
    first = train_trl(GradientMonitorCallback(), max_steps=6, **saving)
    resumed = train_trl(
        GradientMonitorCallback(),
        EarlyTerminationCallback(),
        max_steps=12,
        train_kwargs={"resume_from_checkpoint": str(first.output_dir / "checkpoint-4")},
        **saving,
    )
    trace = resumed.trace
    assert trace.run["id"] == resumed.run.id
    assert [o.step for o in trace.observations] == list(range(1, 13))
    assert [o.samples_seen for o in trace.observations] == [4 * s for s in range(1, 13)]
    kinds = [e["event"] for e in trace.events if e["event"] != "norm_check"]
    assert kinds == ["end", "resume", "end"]
    assert resumed.run.status == "finished"
    assert len(RunHistory().runs()) == 1


def test_a_lost_history_comes_back_from_the_traces(
    train_trl: Callable[..., Any], tmp_path: Path
) -> None:
    outcome = train_trl(GradientMonitorCallback(study="s", name="n"))
    before = outcome.run
    again = RunHistory(str(tmp_path / "new.db"))
    after = again.import_trace(outcome.trace)
    same = "id name study key status step samples_seen loss grad_norm config".split()
    assert [getattr(after, k) for k in same] == [getattr(before, k) for k in same]


def test_an_internal_error_gets_one_warning_and_training_continues(
    train_trl: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from axolotl_sftguide.monitor import capture

    def broken(inputs: Any) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(capture, "count_samples", broken)
    outcome = train_trl(GradientMonitorCallback())
    assert outcome.trainer.state.global_step == 12
    assert capsys.readouterr().out.count("planted") == 1


class SlowEvaluation(TrainerCallback):
    def on_evaluate(self, *_: Any, **__: Any) -> None:
        time.sleep(2.0)


def test_the_pace_is_that_of_training_alone(train_trl: Callable[..., Any]) -> None:
    outcome = train_trl(
        GradientMonitorCallback(),
        SlowEvaluation(),
        eval_strategy="steps",
        eval_steps=4,
    )
    run = outcome.run
    assert run.device == "cpu"
    runtime = outcome.trainer.state.log_history[-1]["train_runtime"]
    assert 0 < 12 * run.step_s <= runtime - 3 * 2.0  # three evaluations of two seconds
    assert run.samples_per_s == run.samples_seen / run.step / run.step_s
    assert outcome.trace.end["step_s"] == run.step_s
