"""`sftguide runs watch`: a run that trains, seen from a second terminal."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from runs import run_row, steps, write_trace
from terminal import Terminal

from axolotl_sftguide.cli import main
from axolotl_sftguide.cli.watch_page import WatchPage
from axolotl_sftguide.errors import TraceError
from axolotl_sftguide.runs.axes import axis_figure
from axolotl_sftguide.runs.following import TraceFollower
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.runs.live import LiveReader, LiveRun, earlier_runs
from axolotl_sftguide.runs.log_line import LogLine
from axolotl_sftguide.runs.traces import Trace, TraceWriter, read_trace, trace_path
from axolotl_sftguide.signals import Point


class Training:
    """A run of this process that is trained by hand: the trace, then the history."""

    def __init__(self, folder: Path, run_id: str = "live-1", **overrides: Any) -> None:
        self.history = RunHistory()
        config = {"logging_steps": 10}
        self.row = run_row(run_id, output_dir=str(folder), config=config, **overrides)
        self.id = run_id
        self.step = 0
        self.trace = TraceWriter(trace_path(folder, run_id))
        self.trace.begin(self.row)
        self.history.begin({**self.row, "trace_path": str(self.trace.path)})

    def train(self, until: int) -> None:
        new = steps(until, first=self.step + 1)
        self.step = until
        self.trace.steps(new)
        last = new[-1]
        self.history.progress(
            self.id, step=last.step, samples_seen=last.samples_seen, step_s=0.5
        )

    def warn(self, reason: str = "the loss stays at 9") -> None:
        found = Decision("divergence", "warn", reason, self.step, 8 * self.step)
        self.trace.event("decision", **asdict(found))
        self.history.add_decision(self.id, found)

    def end(self, status: Any = "finished", reason: str | None = None) -> None:
        self.trace.event("end", status=status, reason=reason, at=time.time())
        self.history.end(self.id, status, reason)


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


@pytest.fixture
def watch() -> Iterator[Callable[..., Terminal]]:
    begun: list[Terminal] = []

    def begin(*words: str, **size: int) -> Terminal:
        options = ("--interval", "0.1", *words)
        begun.append(Terminal("runs", "watch", *options, **size))  # type: ignore[arg-type]
        return begun[-1]

    yield begin
    for terminal in begun:
        terminal.kill()


def watched(*words: str) -> Result:
    """What it prints where there is no terminal."""
    found = CliRunner().invoke(main, ["runs", "watch", *words])
    assert found.exit_code == 0, found.output
    return found


def screen(live: LiveRun) -> str:
    """The page as text, without spaces at the ends of lines."""
    out = Console(width=80, height=24, file=io.StringIO(), record=True)
    out.print(WatchPage(live))
    return "\n".join(line.rstrip() for line in out.export_text().splitlines()) + "\n"


class TestATraceThatGrows:
    def test_is_read_as_a_whole_one_is_wherever_it_is_cut(self, tmp_path: Path) -> None:
        whole = write_trace(tmp_path, last=6, end=None)
        writer = TraceWriter(whole)
        writer.event("resume", step=3, at=1.0, run=run_row("r1", max_steps=50))
        writer.steps(steps(7, first=4, loss=3.0))
        writer.event("end", status="finished", reason=None, at=2.0)
        writer.close()
        text = whole.read_bytes()
        part = tmp_path / "part.jsonl"
        follower = TraceFollower(part)
        assert follower.read() is None
        for end in [*range(7, len(text), 97), len(text)]:
            part.write_bytes(text[:end])
            found = follower.read()
            if b"\n" not in text[:end]:
                assert found is None
                continue
            assert found is not None
            complete = tmp_path / "complete.jsonl"
            complete.write_bytes(text[: text[:end].rindex(b"\n") + 1])
            assert values(found) == values(read_trace(complete))
        assert found is not None
        assert found.end is not None
        assert found.run["max_steps"] == 50

    def test_is_read_again_where_the_file_was_replaced_or_cut(
        self, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path, last=9)
        follower = TraceFollower(path)
        follower.read()
        other = write_trace(tmp_path / "new", last=20)
        os.replace(other, path)
        assert len(seen_by(follower)) == 20
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:5]))
        assert len(seen_by(follower)) == 4

    def test_of_which_a_crash_broke_a_line_is_read_on(self, tmp_path: Path) -> None:
        path = write_trace(tmp_path, last=3, end=None)
        follower = TraceFollower(path)
        with path.open("a") as file:
            file.write('{"step": 4, "los')
        assert len(seen_by(follower)) == 3
        writer = TraceWriter(path)
        writer.steps(steps(5, first=4))
        writer.close()
        assert len(seen_by(follower)) == 5

    def test_that_is_none_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.jsonl"
        path.write_text('{"a": 1}\n')
        with pytest.raises(TraceError, match="is not a trace"):
            TraceFollower(path).read()


def values(trace: Trace) -> tuple[Any, ...]:
    return trace.run, trace.observations, trace.events


def seen_by(follower: TraceFollower) -> Any:
    found = follower.read()
    assert found is not None
    return found.observations


class TestOneRun:
    def test_ends_with_its_trace_though_the_history_is_behind(
        self, training: Training
    ) -> None:
        training.train(30)
        history = RunHistory()
        reader = LiveReader(history, history.get(training.id))
        assert not reader.read().ended
        training.trace.event("end", status="failed", reason="CUDA out of memory")
        found = reader.read()
        assert (found.ended, found.run.status) == (True, "failed")
        assert found.run.reason == "CUDA out of memory"

    def test_on_another_machine_is_read_from_the_history(self, tmp_path: Path) -> None:
        history = RunHistory()
        history.begin(run_row("far", hostname="elsewhere", trace_path="/gone/x.jsonl"))
        history.add_points("far", [Point(128, 2.0, 1.0), Point(256, 1.5, 0.9)])
        history.progress("far", step=33, samples_seen=264, step_s=2.0)
        found = LiveReader(history, history.get("far")).read()
        assert [p.loss for p in found.steps] == [2.0, 1.5]
        assert (found.ended, found.step, found.left_s) == (False, 33, 134.0)
        assert "not on this machine: means of 16 steps" in screen(found)

    def test_of_a_short_run_every_step_is_in_the_history(self) -> None:
        history = RunHistory()
        row = run_row("far", hostname="elsewhere", trace_path="/gone", max_steps=40)
        history.begin(row)
        history.add_points("far", [Point(8 * i, 2.0, 1.0) for i in range(1, 34)])
        history.progress("far", step=33, samples_seen=264)
        found = LiveReader(history, history.get("far")).read()
        assert "its trace is not on this machine\n" in screen(found)

    def test_keeps_its_figures_while_the_history_cannot_be_read(
        self, training: Training, tmp_path: Path
    ) -> None:
        training.train(30)
        history = RunHistory()
        reader = LiveReader(history, history.get(training.id))
        training.history.delete(training.id)
        found = reader.read()
        assert found.step == 30
        assert found.fault is not None

    def test_is_held_against_runs_of_its_study_or_of_its_model_and_data(
        self, tmp_path: Path
    ) -> None:
        history = RunHistory()
        same = {"base_model": "m", "data": {"digest": "d"}}
        for run_id, study, fields in (
            ("a", "s", {}),
            ("b", "other", same),
            ("c", "other", {"base_model": "m", "data": {"digest": "e"}}),
        ):
            row = run_row(run_id, study=study, key_fields=fields, started_at=1e9)
            history.begin(row)
            history.add_points(run_id, [Point(128, 2.0, 1.0)])
        history.begin(run_row("live", study="s", key_fields=same))
        history.begin(run_row("later", study="s", started_at=time.time() + 60))
        found, count = earlier_runs(history, history.get("live"))
        assert [one.run.id for one in found] == ["a", "b"]
        assert count == 2


class TestOnATerminal:
    def test_it_shows_curves_verdicts_and_how_the_run_ends(
        self, training: Training, watch: Callable[..., Terminal]
    ) -> None:
        training.history.begin(run_row("old", name="old", started_at=1e9))
        training.history.add_points(
            "old", [Point(128 * i, 2.0 / i, 0.6) for i in range(1, 7)]
        )
        training.history.end("old", "finished")
        training.train(40)
        terminal = watch(columns=80, lines=24)
        said = terminal.until(lambda text: fits(text, 24) and "40 of 100" in text)
        for part in ("running", "(40%)", "left 30s", "study s", "320 samples"):
            assert part in said
        assert "1 earlier run" in said
        assert "no warnings" in said
        assert curve_lines(terminal) > 6
        training.warn()
        training.train(60)
        warning = "warning at step 40 by divergence: the loss stays at 9"
        said = terminal.until(lambda text: warning in text and fits(text, 24))
        assert "60 of 100 (60%)" in said
        assert "▼" in said
        terminal.resize(120, 40)
        terminal.until(lambda text: fits(text, 40))
        assert curve_lines(terminal) > 12
        terminal.resize(60, 14)
        terminal.until(lambda text: fits(text, 14))
        assert "gradient norm" not in terminal.text
        terminal.resize(80, 24)
        training.end("terminated", "divergence: the loss stays at 9")
        assert terminal.end() == 0
        # The last picture stays, and how the run ended is below it.
        # (pyte has one screen only, so that lines go on where the cursor was.)
        said = terminal.text.replace("\n", "")
        assert "was stopped at step 60 of 100" in said
        assert "terminated" in said

    def test_it_waits_for_a_run_and_says_for_which(
        self, tmp_path: Path, watch: Callable[..., Terminal]
    ) -> None:
        terminal = watch("--study", "mine", columns=200)
        said = terminal.until(lambda text: "waiting" in text)
        assert "no run of study mine trains now; waiting for one in sqlite" in said
        assert not list(tmp_path.glob("*.db"))
        Training(tmp_path, study="other")
        Training(tmp_path, "live-2", study="mine").train(20)
        terminal.until(lambda text: "name-live-2" in text and "Ctrl-C" in text)
        terminal.interrupt()
        assert terminal.end() == 0
        assert "no longer watching" in terminal.text
        # Off the other screen, and with the cursor.
        assert terminal.raw.rindex(b"\x1b[?1049l") > terminal.raw.rindex(b"\x1b[?1049h")
        assert terminal.raw.rindex(b"\x1b[?25h") > terminal.raw.rindex(b"\x1b[?25l")

    def test_it_takes_neither_colours_nor_locks(
        self, training: Training, tmp_path: Path
    ) -> None:
        training.train(40)
        writer = sqlite3.connect(tmp_path / "runs.db", timeout=0, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")  # as a training that writes just now
        words = ("runs", "watch", "--interval", "0.1")
        terminal = Terminal(*words, NO_COLOR="1")
        terminal.until(lambda text: "Ctrl-C" in text)
        colours = {c for line in range(24) for c in terminal.colours(line)}
        assert colours == {"default"}
        writer.execute("COMMIT")
        for _ in range(5):
            writer.execute("BEGIN EXCLUSIVE")
            writer.execute("COMMIT")
        terminal.interrupt()
        assert terminal.end() == 0


def curve_lines(terminal: Terminal) -> int:
    return sum(any("⠀" < c <= "⣿" for c in line) for line in terminal.lines)


def fits(text: str, lines: int) -> bool:
    """Whether a screen shows a page of its size: the first and the last line."""
    shown = text.split("\n")
    return "name-live-1" in shown[0] and "Ctrl-C" in shown[lines - 1]


class TestWithoutATerminal:
    def test_there_is_a_line_for_each_log(self, training: Training) -> None:
        training.train(30)
        training.trace.event("evaluation", step=30, metrics={"eval_loss": 1.2})
        training.warn()
        training.train(35)
        training.end()
        found = watched("live-1")
        log_10, log_20, log_30, last, warning, end = found.stdout.splitlines()
        assert log_10.startswith("step  10/100   10%  loss 0.58")
        assert "(-" in log_20
        assert "eval" not in log_30
        assert "step  35/100" in last
        assert "lr 5e-4  2 it/s  eval 1.2" in last
        assert warning == "warning at step 30 by divergence: the loss stays at 9"
        assert end == "name-live-1 (live-1) finished"

    def test_as_json_each_is_an_object(self, training: Training) -> None:
        training.train(20)
        training.warn()
        training.end("failed", "CUDA out of memory")
        found = [json.loads(x) for x in watched("live-1", "--json").stdout.splitlines()]
        assert [one["event"] for one in found] == ["log", "log", "decision", "end"]
        assert found[0]["step"] == 10
        assert found[-1]["status"] == "failed"

    def test_a_killed_run_is_said_to_be_gone(self, tmp_path: Path) -> None:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
        import psutil

        born = psutil.Process(child.pid).create_time()
        one = Training(tmp_path, process_id=child.pid, process_started_at=born)
        one.train(10)
        child.kill()
        child.wait()
        assert "is gone at step 10 of 100" in watched("live-1").stdout

    def test_an_unknown_run_or_storage_is_named(self, tmp_path: Path) -> None:
        RunHistory()
        for words, said in (
            (["nobody"], "no run 'nobody'"),
            (["--storage", str(tmp_path / "x.db")], "does not exist (nothing created)"),
        ):
            found = CliRunner().invoke(main, ["runs", "watch", *words])
            assert (found.exit_code, said in found.output) == (2, True)


def test_a_log_is_one_line_of_figures() -> None:
    line = LogLine(
        120, 480, 1.234, 1.254, 0.81, 1.9e-4, 0.3125, 130.0, {"eval_loss": 1.2}
    )
    assert str(line) == (
        "step 120/480   25%  loss 1.234 (-0.020)  grad norm 0.8100  lr 1.9e-4  "
        "3.2 it/s  left 2m 10s  eval 1.2"
    )
    assert str(LogLine(7)) == "step 7"


def test_scores_do_not_end_a_watch(training: Training) -> None:
    """The model is scored after the last step, which can take long."""
    training.train(100)
    training.history.add_score(training.id, Score("m", 0.5, "max"))
    history = RunHistory()
    assert not LiveReader(history, history.get(training.id)).read().ended


def test_figures_of_an_axis_fit_beside_it() -> None:
    found = [axis_figure(10.0**i * 1.3141) for i in range(-12, 13)]
    found += [axis_figure(-value) for value in (1.314e-5, 1314.0, 1.314e7)]
    assert max(map(len, found)) <= 7
    assert (axis_figure(1314.2), axis_figure(0.01234)) == ("1314", "0.0123")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("size", [(30, 6), (40, 9), (80, 24), (120, 40), (300, 90)])
def test_a_page_fits_terminals_of_any_size(
    size: tuple[int, int], encoding: str, training: Training
) -> None:
    width, height = size
    many = steps(90)
    for i in (40, 41, 60):
        many[i] = replace(many[i], loss=float("nan"), grad_norm=1e9)
    training.trace.steps(many)
    training.step = 90
    for _ in range(4):
        training.warn("the loss stays above its limit of 1.62 and " * 6)
    history = RunHistory()
    live = LiveReader(history, history.get(training.id)).read()
    raw = io.BytesIO()
    out = Console(
        file=io.TextIOWrapper(raw, encoding, write_through=True),
        width=width,
        height=height,
    )
    out.print(WatchPage(live, note="Ctrl-C leaves"), height=height)
    lines = raw.getvalue().decode(encoding).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    charts = [line for line in lines if line[7:8] in ("│", "┤", "|")]
    assert not [line for line in charts if line.endswith("…")]
    assert (len(charts) > 3) is (height > 9)
