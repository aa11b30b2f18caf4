"""The trace: whole lines, strict JSON, and readable whatever happened to it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from runs import run_row, steps, write_trace

from axolotl_sftguide.errors import TraceError
from axolotl_sftguide.runs.traces import (
    FORM,
    TraceWriter,
    find_traces,
    read_trace,
    to_line,
    trace_path,
)
from axolotl_sftguide.signals import Observation


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    trace = read_trace(write_trace(tmp_path, last=7))
    assert list(trace.observations) == steps(7)
    assert trace.run["id"] == "r1"
    assert [e["event"] for e in trace.events] == ["score", "end"]
    assert trace.end is not None
    assert trace.end["status"] == "finished"
    assert not trace.torn


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_numbers_are_strict_json_and_come_back(
    tmp_path: Path, value: float
) -> None:
    writer = TraceWriter(tmp_path / "t.jsonl")
    writer.begin(run_row())
    writer.steps([Observation(1, 8, value, value, 1e-3)])
    writer.close()

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON")

    for line in writer.path.read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    (step,) = read_trace(writer.path).observations
    assert repr(step.loss) == repr(step.grad_norm) == repr(value)


def test_numbers_keep_every_bit(tmp_path: Path) -> None:
    written = Observation(1, 2**53, 0.1 + 0.2, 1 / 3, 5e-324)
    writer = TraceWriter(tmp_path / "t.jsonl")
    writer.begin(run_row())
    writer.steps([written])
    writer.close()
    assert read_trace(writer.path).observations == (written,)


def test_each_call_leaves_whole_lines_on_the_disk(tmp_path: Path) -> None:
    writer = TraceWriter(tmp_path / "t.jsonl")
    writer.begin(run_row())
    for last in range(1, 5):
        writer.steps(steps(last, first=last))
        assert len(read_trace(writer.path).observations) == last
        assert writer.path.read_bytes().endswith(b"\n")
    writer.close()


def test_a_trace_cut_at_any_byte_loses_its_last_line_and_no_more(
    tmp_path: Path,
) -> None:
    whole = write_trace(tmp_path, last=4).read_bytes()
    head = whole.index(b"\n") + 1
    cut = tmp_path / "cut.jsonl"
    for size in range(head, len(whole)):
        cut.write_bytes(whole[:size])
        trace = read_trace(cut)
        lines = whole[:size].split(b"\n")[1:]
        complete = [x for x in lines if _is_json(x)]
        seen = len(trace.observations) + len(trace.events)
        assert seen == len(complete)
        assert trace.torn == bool(lines[-1] and not _is_json(lines[-1]))


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def test_a_cut_inside_a_letter_of_two_bytes_is_a_cut(tmp_path: Path) -> None:
    path = write_trace(tmp_path, last=2, end=None)
    with path.open("ab") as file:
        file.write('{"event": "note", "text": "é'.encode()[:-1])
    trace = read_trace(path)
    assert trace.torn
    assert len(trace.observations) == 2


def test_a_trace_without_its_first_line_whole_is_not_one(tmp_path: Path) -> None:
    whole = write_trace(tmp_path).read_bytes()
    cut = tmp_path / "cut.jsonl"
    for size in range(0, whole.index(b"\n"), 7):
        cut.write_bytes(whole[:size])
        with pytest.raises(TraceError, match="not a trace"):
            read_trace(cut)


def test_writing_after_a_truncated_line_starts_a_new_line(tmp_path: Path) -> None:
    path = write_trace(tmp_path, last=6, end=None)
    path.write_bytes(path.read_bytes()[:-9])
    writer = TraceWriter(path)
    writer.event("resume", step=4, at=0.0)
    writer.steps(steps(8, first=5, loss=9.0))
    writer.close()
    trace = read_trace(path)
    assert not trace.torn
    assert [o.step for o in trace.observations] == list(range(1, 9))
    assert trace.observations[3] == steps(4)[3]
    assert trace.observations[4] == steps(5, first=5, loss=9.0)[0]


def test_a_resume_takes_back_the_steps_and_the_end_after_it(tmp_path: Path) -> None:
    path = write_trace(tmp_path, last=6, end="terminated")
    writer = TraceWriter(path)
    writer.event("resume", step=2, at=0.0, run={"max_steps": 500})
    writer.close()
    trace = read_trace(path)
    assert [o.step for o in trace.observations] == [1, 2]
    assert trace.end is None
    assert trace.run["max_steps"] == 500
    assert trace.run["id"] == "r1"


@pytest.mark.parametrize("event", ["decision", "evaluation"])
def test_a_resume_takes_back_what_was_decided_or_evaluated_after_it(
    tmp_path: Path, event: str
) -> None:
    path = write_trace(tmp_path, last=6, end=None)
    writer = TraceWriter(path)
    for step in (2, 5):
        writer.event(event, step=step)
    writer.event("resume", step=4, at=0.0)
    writer.close()
    found = [e for e in read_trace(path).events if e["event"] == event]
    assert [e["step"] for e in found] == [2]


def test_a_broken_line_in_the_middle_is_reported_by_its_number(tmp_path: Path) -> None:
    path = write_trace(tmp_path, last=5)
    lines = path.read_text().splitlines(keepends=True)
    lines[3] = lines[3][:20] + "\n"
    path.write_text("".join(lines))
    with pytest.raises(TraceError, match=r"line 4 is not a JSON object. Repair"):
        read_trace(path)


@pytest.mark.parametrize("line", ['{"step": 3}', '{"step": "x", "loss": 1}'])
def test_an_incomplete_step_is_reported(tmp_path: Path, line: str) -> None:
    path = write_trace(tmp_path, last=2)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(TraceError, match="a step record is incomplete"):
        read_trace(path)


def test_a_newer_format_gets_an_error_that_names_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(to_line({"event": "run", "form": FORM + 1, "something": "else"}))
    with pytest.raises(
        TraceError, match=r"has trace format 2, .* up to format 1\. Upgrade"
    ):
        read_trace(path)


def test_fields_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    path = write_trace(tmp_path, last=1, end=None)
    lines = path.read_text().splitlines()
    step = json.loads(lines[1]) | {"step": 2, "entropy": 0.3}
    path.write_text("\n".join([*lines, json.dumps(step)]) + "\n")
    assert [o.step for o in read_trace(path).observations] == [1, 2]


@pytest.mark.parametrize(
    "text", ["", "\n", "not json\n", "[1, 2]\n", '{"event": "run"}\n', '{"step": 1}\n']
)
def test_a_file_that_is_not_a_trace_gets_a_one_line_error(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_or_a_folder_is_reported(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(TraceError, match="cannot be read"):
            read_trace(path)


def test_traces_are_found_below_a_folder(tmp_path: Path) -> None:
    one = write_trace(tmp_path / "a" / "b", "one")
    two = write_trace(tmp_path / "c", "two")
    (tmp_path / "c" / "other.jsonl").write_text("{}\n")
    assert find_traces(tmp_path) == sorted([one, two])
    assert find_traces(one) == [one]
    assert trace_path(tmp_path / "c", "two") == two
