"""Recording is hurt, training is not: told once, and nothing is lost."""

from __future__ import annotations

import random
import resource
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs import run_row, steps

from axolotl_sftguide.monitor.recorder import RunRecorder, new_run_id
from axolotl_sftguide.runs import history_writer
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.runs.traces import FORM, TraceWriter, read_trace, trace_path
from axolotl_sftguide.signals import points_of


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def record(tmp_path: Path, told: list[str]) -> Callable[..., RunRecorder]:
    def make(**options: Any) -> RunRecorder:
        options = {"storage": str(tmp_path / "h.db"), "trace": True} | options
        row = {"output_dir": str(tmp_path / "out")} | options.pop("row", {})
        row = run_row(**{"run_id": row.pop("id", "r1"), **row})
        return RunRecorder(row, warn=told.append, **options)

    return make


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def whole(recorder: RunRecorder) -> None:
    recorder.steps(steps(5))
    recorder.decision(Decision("divergence", "warn", "high", 4, 32))
    recorder.steps(steps(9, first=6))
    recorder.score(Score("m", 0.5, "max"))
    recorder.end("finished")


def test_trace_and_history_say_the_same(
    record: Callable[..., RunRecorder], tmp_path: Path, told: list[str]
) -> None:
    recorder = record()
    whole(recorder)
    run = RunHistory(str(tmp_path / "h.db")).get("r1")
    again = RunHistory(str(tmp_path / "again.db"))
    rebuilt = again.import_trace(read_trace(recorder.trace_path))
    for name in ("heartbeat_at",):  # the trace has the time of its last writing
        object.__setattr__(rebuilt, name, getattr(run, name))
    assert rebuilt == run
    assert (run.status, run.step, len(run.decisions), len(run.scores)) == (
        "finished",
        9,
        1,
        1,
    )
    assert told == []


def test_a_finished_run_that_nothing_scored_has_its_last_evaluation_loss(
    record: Callable[..., RunRecorder], tmp_path: Path
) -> None:
    for name, status in (("r1", "finished"), ("r2", "failed"), ("r3", "finished")):
        recorder = record(row={"id": name, "output_dir": str(tmp_path / name)})
        recorder.evaluation(5, {"eval_loss": 3.0, "eval_runtime": 1.0})
        recorder.evaluation(9, {"eval_loss": 2.0, "eval_runtime": 1.0})
        if name == "r3":
            recorder.score(Score("m", 0.5, "max"))
        recorder.end(status)  # type: ignore[arg-type]
    history = RunHistory(str(tmp_path / "h.db"))
    scores = {run.id: run.scores for run in history.runs()}
    assert scores["r1"] == (Score("eval_loss", 2.0, "min"),)
    assert scores["r2"] == ()
    assert [score.metric for score in scores["r3"]] == ["m"]
    assert history.import_trace(read_trace(recorder.trace_path)).scores == scores["r3"]


def test_a_history_that_cannot_be_opened_costs_the_trace_nothing(
    record: Callable[..., RunRecorder], told: list[str]
) -> None:
    recorder = record(storage="/dev/null/h.db")
    assert recorder.history is None
    whole(recorder)
    assert len(read_trace(recorder.trace_path).observations) == 9
    assert len(told) == 2
    assert "/dev/null/h.db: cannot be opened" in told[0]
    assert "training continues, and the trace records all steps" in told[0]
    assert f"sftguide runs import {recorder.trace_path.parent}" in told[1]


def test_what_a_locked_history_missed_is_entered_at_the_end(
    record: Callable[..., RunRecorder], tmp_path: Path, told: list[str]
) -> None:
    recorder = record()
    writer = sqlite3.connect(tmp_path / "h.db", isolation_level=None)
    writer.execute("begin immediate")
    recorder.decision(Decision("divergence", "warn", "high", 4, 32))
    recorder.decision(Decision("comparison", "warn", "worse", 5, 40))
    wait_until(lambda: told)
    assert "locked" in told[0]
    writer.close()
    recorder.steps(steps(9))
    recorder.score(Score("m", 0.5, "max"))
    recorder.end("finished")
    run = RunHistory(str(tmp_path / "h.db")).get("r1")
    assert (run.status, run.step) == ("finished", 9)
    assert [d.rule for d in run.decisions] == ["divergence", "comparison"]
    assert run.scores == (Score("m", 0.5, "max"),)
    assert len(told) == 1


def test_a_history_that_is_locked_throughout_is_left_within_seconds(
    record: Callable[..., RunRecorder], tmp_path: Path, told: list[str]
) -> None:
    RunHistory(str(tmp_path / "h.db")).close()
    other = sqlite3.connect(tmp_path / "h.db", isolation_level=None)
    other.execute("pragma locking_mode = exclusive")
    other.execute("begin exclusive")
    began = time.monotonic()
    recorder = record()
    opened = time.monotonic()
    whole(recorder)
    ended = time.monotonic()
    other.close()
    # Each attempt waits for the lock once, at the start for half a second.
    assert opened - began < 4.0
    assert ended - opened < 12.0
    assert len(told) == 2
    assert told[0].endswith("The run is not compared with earlier runs")
    assert f"sftguide runs import {recorder.trace_path.parent}" in told[1]
    history = RunHistory(str(tmp_path / "h.db"))
    run = history.import_trace(read_trace(recorder.trace_path))
    assert (run.status, run.step) == ("finished", 9)


def test_a_trace_that_cannot_be_written_costs_the_history_nothing(
    record: Callable[..., RunRecorder], tmp_path: Path, told: list[str]
) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    recorder = record()
    whole(recorder)
    run = RunHistory(str(tmp_path / "h.db")).get("r1")
    assert (run.status, run.step, run.trace_path) == ("finished", 9, None)
    assert len(told) == 1
    assert "steps are no longer recorded" in told[0]


def test_a_full_disk_in_mid_run_gets_one_warning(
    record: Callable[..., RunRecorder],
    tmp_path: Path,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = record()
    recorder.steps(steps(3))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TraceWriter, "_write", full)
    recorder.steps(steps(6, first=4))
    recorder.steps(steps(9, first=7))
    recorder.end("finished")
    assert len(told) == 1
    assert "No space left on device; training continues" in told[0]
    assert RunHistory(str(tmp_path / "h.db")).get("r1").step == 9


def test_without_a_trace_nothing_is_written_to_the_output_folder(
    record: Callable[..., RunRecorder], tmp_path: Path
) -> None:
    whole(record(trace=False))
    assert not (tmp_path / "out").exists()
    assert RunHistory(str(tmp_path / "h.db")).get("r1").trace_path is None


def test_a_resumed_run_continues_the_same_trace(
    record: Callable[..., RunRecorder], tmp_path: Path
) -> None:
    first = record()
    first.steps(steps(6))
    first.end("terminated", "why")
    again = record(resumed_at=4, row={"max_steps": 500})
    again.steps(steps(8, first=5))
    again.end("finished")
    trace = read_trace(trace_path(tmp_path / "out", "r1"))
    assert [o.step for o in trace.observations] == list(range(1, 9))
    run = RunHistory(str(tmp_path / "h.db")).get("r1")
    assert (run.status, run.step, run.max_steps) == ("finished", 8, 500)


def test_the_curve_is_the_same_resumed_or_not(
    record: Callable[..., RunRecorder], tmp_path: Path
) -> None:
    whole = record(row={"id": "whole"})
    for step in range(1, 51):
        whole.steps(steps(step, first=step))
    whole.end("finished")
    first = record()
    first.steps(steps(45))
    first.end("failed")
    again = record(resumed_at=20, past=steps(20))
    again.steps(steps(50, first=21))
    again.end("finished")
    history = RunHistory(str(tmp_path / "h.db"))
    assert history.points("r1") == history.points("whole") == points_of(steps(50))


def test_a_resume_whose_trace_is_gone_begins_a_new_one(
    record: Callable[..., RunRecorder], tmp_path: Path
) -> None:
    again = record(resumed_at=4)
    again.steps(steps(8, first=5))
    again.end("finished")
    trace = read_trace(trace_path(tmp_path / "out", "r1"))
    assert [o.step for o in trace.observations] == [5, 6, 7, 8]


def test_a_norm_that_was_not_measured_makes_the_run_not_comparable(
    record: Callable[..., RunRecorder], tmp_path: Path
) -> None:
    from dataclasses import replace

    recorder = record()
    one, two = steps(2)
    recorder.steps([one, replace(two, measured=False)])
    recorder.steps(steps(4, first=3))
    recorder.end("finished")
    assert not RunHistory(str(tmp_path / "h.db")).get("r1").comparable


def test_a_run_id_draws_nothing_from_the_global_generator() -> None:
    state = random.getstate()
    ids = {new_run_id() for _ in range(50)}
    assert random.getstate() == state
    assert len(ids) > 45
    assert FORM == 1


def test_a_disk_that_is_full_for_a_while_costs_neither_trace_nor_history_a_step(
    record: Callable[..., RunRecorder],
    tmp_path: Path,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history_writer, "FIRST_PAUSE_S", 0.0)
    recorder = record()
    recorder.steps(steps(20))
    wait_until(lambda: RunHistory(str(tmp_path / "h.db")).get("r1").step == 20)
    size = recorder.trace_path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may become longer than the trace is now, plus a part of a line.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        recorder.steps(steps(25, first=21))
        recorder.decision(Decision("divergence", "warn", "high", 25, 200))
        recorder.steps(steps(60, first=26))
        cut = read_trace(recorder.trace_path)
        assert [o.step for o in cut.observations] == list(range(1, 21))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    recorder.steps(steps(90, first=61))
    recorder.end("finished")
    trace = read_trace(recorder.trace_path)
    assert list(trace.observations) == steps(90)
    assert [e["event"] for e in trace.events] == ["decision", "end"]
    history = RunHistory(str(tmp_path / "h.db"))
    run = history.get("r1")
    assert (run.status, run.step, len(run.decisions)) == ("finished", 90, 1)
    assert history.points("r1") == points_of(steps(90))
    assert sum("trace" in line and "File too large" in line for line in told) == 1


def test_a_disk_that_stays_full_is_told_and_the_history_has_the_end(
    record: Callable[..., RunRecorder],
    tmp_path: Path,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = record()
    recorder.steps(steps(20))
    monkeypatch.setattr(recorder._trace, "_file", Full())
    recorder.steps(steps(90, first=21))
    recorder.end("finished")
    assert [line.partition(";")[0] for line in told] == [
        f"trace {recorder.trace_path}: No space left on device",
        f"trace {recorder.trace_path}: the last steps could not be written and are "
        "missing in it",
    ]
    run = RunHistory(str(tmp_path / "h.db")).get("r1")
    assert (run.status, run.step) == ("finished", 90)


class Full:
    """A file on a full disk."""

    def write(self, _: bytes) -> int:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        pass


def test_a_run_without_a_trace_is_whole_once_its_history_is_back(
    record: Callable[..., RunRecorder],
    tmp_path: Path,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history_writer, "FIRST_PAUSE_S", 0.0)
    recorder = record(trace=False)
    recorder.steps(steps(40))
    wait_until(lambda: RunHistory(str(tmp_path / "h.db")).get("r1").step == 40)
    other = sqlite3.connect(tmp_path / "h.db", isolation_level=None)
    other.execute("begin immediate")
    recorder.steps(steps(60, first=41))
    recorder.decision(Decision("divergence", "warn", "high", 60, 480))
    wait_until(lambda: told)
    other.close()
    recorder.steps(steps(90, first=61))
    recorder.score(Score("m", 0.5, "max"))
    recorder.end("finished")
    history = RunHistory(str(tmp_path / "h.db"))
    run = history.get("r1")
    assert (run.status, run.step, len(run.decisions)) == ("finished", 90, 1)
    assert run.scores == (Score("m", 0.5, "max"),)
    assert history.points("r1") == points_of(steps(90))
    assert len(told) == 1
