"""The pace of a run: what counts as training, and what earlier runs tell of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import run_row, write_trace

from axolotl_sftguide.monitor.pace import Pace
from axolotl_sftguide.runs.history import Run, RunHistory
from axolotl_sftguide.runs.throughput import Throughput, past_throughput
from axolotl_sftguide.runs.traces import TraceWriter, read_trace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class TestPace:
    def test_is_the_mean_between_the_ends_of_steps(self) -> None:
        clock = Clock()
        pace = Pace(clock)
        for seconds in (50.0, 2.0, 4.0):  # before the first, nobody knows
            clock.now += seconds
            pace.step()
        assert pace.step_s == 3.0

    def test_leaves_out_what_is_not_training(self) -> None:
        clock = Clock()
        pace = Pace(clock)
        pace.step()
        clock.now += 2.0
        pace.step()
        pace.interrupt()
        clock.now += 500.0
        pace.step()
        clock.now += 2.0
        pace.step()
        assert pace.step_s == 2.0

    def test_is_unknown_before_two_steps_in_a_row(self) -> None:
        pace = Pace(Clock())
        assert pace.step_s is None
        pace.step()
        assert pace.step_s is None


FIELDS = {
    "base_model": "a/b",
    "adapter": None,
    "quantization": None,
    "sequence_len": 512,
    "packing": False,
    "ranks": 2,
}
CONFIG = {"base_model": "a/b", "sequence_len": 512}


def past(run_id: str, step_s: float, device: str = "card", **fields: object) -> Run:
    """A run of 10 steps of 8 samples."""
    row = run_row(run_id, key_fields={**FIELDS, **fields}, device=device)
    columns = {**row, "status": "finished", "reason": None, "trace_path": None}
    return Run(
        **columns,
        heartbeat_at=0.0,
        ended_at=None,
        step=10,
        samples_seen=80,
        loss=None,
        grad_norm=None,
        step_s=step_s,
    )


class TestThroughput:
    def test_is_of_one_device_and_the_median_of_the_runs(self) -> None:
        runs = [past("a", 1.0), past("b", 2.0), past("c", 100.0)]
        assert past_throughput(runs, CONFIG) == [Throughput("card", 2.0, 3)]

    def test_the_fastest_device_comes_first(self) -> None:
        runs = [past("a", 8.0, "slow"), past("b", 1.0, "fast")]
        assert [t.device for t in past_throughput(runs, CONFIG)] == ["fast", "slow"]

    @pytest.mark.parametrize(
        "other",
        [
            {"base_model": "a/c"},
            {"adapter": {"r": 8}},
            {"quantization": {"load_in_4bit": True}},
            {"sequence_len": 1024},
            {"packing": True},
        ],
    )
    def test_runs_of_another_kind_tell_nothing(self, other: dict[str, object]) -> None:
        assert past_throughput([past("a", 1.0, **other)], CONFIG) == []

    def test_runs_without_a_pace_or_a_device_tell_nothing(self) -> None:
        without = past("a", 0.0)
        assert without.samples_per_s is None
        unknown = past("b", 1.0, device=None)  # type: ignore[arg-type]
        assert past_throughput([without, unknown], CONFIG) == []


def test_a_trace_brings_the_pace_back(tmp_path: Path) -> None:
    path = write_trace(tmp_path, end=None, device="cpu")
    writer = TraceWriter(path)
    writer.event("end", status="finished", reason=None, at=9.0, step_s=0.25)
    writer.close()
    run = RunHistory(str(tmp_path / "h.db")).import_trace(read_trace(path))
    assert (run.device, run.step_s, run.samples_per_s) == ("cpu", 0.25, 32.0)
