"""Training never waits for the run history, and nothing is lost for it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from postgres import Server
from runs import run_row, steps

from axolotl_sftguide.errors import SFTGuideError, StorageError
from axolotl_sftguide.monitor.recorder import RunRecorder
from axolotl_sftguide.runs import history_writer
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.runs.history_writer import HistoryWriter
from axolotl_sftguide.runs.traces import read_trace
from axolotl_sftguide.signals import points_of


@pytest.fixture
def told() -> list[SFTGuideError]:
    return []


def writer(told: list[SFTGuideError], **options: Any) -> HistoryWriter:
    options = {"heartbeat": lambda _: None, "catch_up": None} | options
    return HistoryWriter(None, on_fault=told.append, **options)  # type: ignore[arg-type]


def fail(_: Any) -> None:
    raise StorageError("gone")


def test_writes_are_carried_out_in_order_while_nobody_waits(
    told: list[SFTGuideError],
) -> None:
    gate, done = threading.Event(), []
    own = writer(told)
    own.put(lambda _: gate.wait(30))
    for i in range(100):
        own.put(lambda _, i=i: done.append(i))
    assert done == []  # put has returned a hundred times, and the first still waits
    gate.set()
    assert own.finish(30)
    assert done == list(range(100))


def test_a_history_that_hangs_does_not_keep_the_end_waiting(
    told: list[SFTGuideError],
) -> None:
    gate = threading.Event()
    own = writer(told)
    own.put(lambda _: gate.wait(30))
    assert not own.finish(0.1)
    gate.set()


def test_after_an_error_one_warning_appears_and_the_end_catches_up(
    told: list[SFTGuideError],
) -> None:
    done: list[str] = []
    own = writer(told, catch_up=lambda _: done.append("all"))
    own.put(fail)
    own.put(lambda _: done.append("one"))
    own.put(fail)
    assert own.finish(30)
    assert done == ["all"]
    assert [str(error) for error in told] == ["gone"]


def test_a_history_that_comes_back_is_caught_up_in_mid_run(
    told: list[SFTGuideError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_writer, "FIRST_PAUSE_S", 0.0)
    done: list[str] = []
    own = writer(told, catch_up=lambda _: done.append("all"))
    for write in (fail, lambda _: done.append("one"), lambda _: done.append("two")):
        own.put(write)
    assert own.finish(30)
    assert done == ["all", "two"]


def test_an_internal_error_is_reported(told: list[SFTGuideError]) -> None:
    own = writer(told)
    own.put(lambda _: 1 / 0)
    assert not own.finish(30)
    assert "ZeroDivisionError" in str(told[0])


def test_a_run_that_rarely_logs_keeps_its_heartbeat(
    told: list[SFTGuideError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_writer, "HEARTBEAT_S", 0.01)
    beats = threading.Semaphore(0)
    own = writer(told, heartbeat=lambda _: beats.release())
    assert all(beats.acquire(timeout=30) for _ in range(3))
    assert own.finish(30)


def test_a_server_that_dies_and_comes_back_has_the_whole_run_in_the_end(
    postgres: Server, tmp_path: Path
) -> None:
    told: list[str] = []
    storage = postgres.new_database()
    row = run_row(output_dir=str(tmp_path))
    recorder = RunRecorder(row, storage=storage, trace=True, warn=told.append)
    recorder.steps(steps(20))
    wait_until(lambda: RunHistory(storage).get("r1").step == 20)
    postgres.stop()
    try:
        recorder.steps(steps(60, first=21))
        recorder.decision(Decision("divergence", "warn", "high", 50, 400))
        wait_until(lambda: told)
    finally:
        postgres.start()
    recorder.steps(steps(90, first=61))
    recorder.score(Score("m", 0.5, "max"))
    recorder.end("finished")
    assert len(told) == 1
    assert "training continues, and the trace records all steps" in told[0]
    history = RunHistory(storage)
    run = history.get("r1")
    assert (run.status, run.step, run.samples_seen) == ("finished", 90, 720)
    assert [d.step for d in run.decisions] == [50]
    assert run.scores == (Score("m", 0.5, "max"),)
    assert history.points("r1") == points_of(steps(90))
    assert len(read_trace(recorder.trace_path).observations) == 90


def wait_until(true: Any) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_tables_that_another_session_locks_keep_no_training_waiting(
    postgres: Server, tmp_path: Path
) -> None:
    told: list[str] = []
    storage = postgres.new_database()
    RunHistory(storage).close()
    engine = sa.create_engine(storage)
    with engine.begin() as other:
        for table in ("sftguide_meta", "runs", "scores", "points"):
            other.exec_driver_sql(f"lock table {table} in access exclusive mode")
        row = run_row(output_dir=str(tmp_path))
        recorder = RunRecorder(row, storage=storage, trace=True, warn=told.append)
        recorder.steps(steps(20))
        recorder.end("finished")  # returns while the tables are locked
    engine.dispose()
    assert len(told) == 2
    assert "sftguide runs import" in told[1]
    run = RunHistory(storage).import_trace(read_trace(recorder.trace_path))
    assert (run.status, run.step) == ("finished", 20)


def test_a_history_file_that_was_removed_is_made_anew_with_the_whole_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_writer, "FIRST_PAUSE_S", 0.0)
    told: list[str] = []
    storage = tmp_path / "h.db"
    row = run_row(output_dir=str(tmp_path))
    recorder = RunRecorder(row, storage=str(storage), trace=True, warn=told.append)
    recorder.steps(steps(20))
    wait_until(lambda: RunHistory(str(storage)).get("r1").step == 20)
    for path in tmp_path.glob("h.db*"):
        path.unlink()
    recorder.steps(steps(60, first=21))
    recorder.end("finished")
    run = RunHistory(str(storage)).get("r1")
    assert (run.status, run.step) == ("finished", 60)
    assert len(told) == 1
    assert "was removed or replaced" in told[0]
