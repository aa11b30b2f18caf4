"""The run history: runs, scores, decisions; alive or dead; lost and found."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from runs import run_row, steps, write_trace

from axolotl_sftguide.cli import main
from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.errors import StorageError, TraceError
from axolotl_sftguide.recipes import find_recipe
from axolotl_sftguide.runs import history as run_history
from axolotl_sftguide.runs.history import (
    SCHEMA_VERSION,
    Decision,
    RunHistory,
    Score,
    is_there,
    resolve_storage,
    this_process,
    upgrade_storage,
)
from axolotl_sftguide.runs.traces import TraceWriter, read_trace
from axolotl_sftguide.signals import Observation, Point, points_of
from axolotl_sftguide.signals.comparability import Candidate
from axolotl_sftguide.stopping.baselines import Baselines, baselines


@pytest.fixture
def history(storage: str) -> Iterator[RunHistory]:
    history = RunHistory(storage)
    yield history
    history.close()


@pytest.fixture
def file(tmp_path: Path) -> RunHistory:
    return RunHistory(str(tmp_path / "h.db"))


def finished(history: RunHistory, run_id: str, value: float, **row: Any) -> None:
    score = {"metric": "m", "goal": "max", **row.pop("score", {})}
    row = {"config": {"learning_rate": 5e-4, "weight_decay": run_id}, **row}
    history.begin(run_row(run_id, **row))
    history.add_score(run_id, Score(value=value, **score))
    history.end(run_id, "finished")


class TestRuns:
    def test_a_run_is_entered_and_ends(self, history: RunHistory) -> None:
        history.begin(run_row())
        history.progress("r1", step=7, samples_seen=56, loss=1.5, grad_norm=0.25)
        (run,) = history.runs()
        assert (run.status, run.shown_status) == ("running", "running")
        assert (run.step, run.samples_seen, run.loss, run.grad_norm) == (
            7,
            56,
            1.5,
            0.25,
        )
        history.end("r1", "terminated", "divergence: loss 9")
        (run,) = history.runs()
        assert (run.status, run.reason) == ("terminated", "divergence: loss 9")
        assert run.steps_saved == 93
        assert run.ended_at is not None

    def test_only_a_stopped_run_saved_steps(self, history: RunHistory) -> None:
        history.begin(run_row())
        history.end("r1", "failed")
        assert history.get("r1").steps_saved == 0

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_non_finite_figures_come_back(
        self, history: RunHistory, value: float
    ) -> None:
        history.begin(run_row())
        history.progress("r1", loss=value, grad_norm=value)
        history.add_score("r1", Score("m", value, "max", base_value=value))
        run = history.get("r1")
        assert repr(run.loss) == repr(run.grad_norm) == repr(value)
        assert repr(run.scores[0].value) == repr(run.scores[0].base_value) == str(value)

    def test_figures_are_numbers_to_whoever_reads_the_tables(
        self, file: RunHistory, tmp_path: Path
    ) -> None:
        file.begin(run_row())
        file.progress("r1", loss=1.5)
        with sqlite3.connect(tmp_path / "h.db") as database:
            query = "select avg(loss), typeof(loss) from runs"
            assert database.execute(query).fetchone() == (1.5, "real")

    def test_a_score_is_replaced_by_the_same_metric(self, history: RunHistory) -> None:
        history.begin(run_row())
        for value in (0.2, 0.4):
            history.add_score("r1", Score("m", value, "max"))
        history.add_score("r1", Score("n", 3.0, "min", base_value=9.0))
        run = history.get("r1")
        assert run.scores == (Score("m", 0.4, "max"), Score("n", 3.0, "min", 9.0))
        assert run.score() == run.score("m")
        assert run.score("other") is None

    def test_decisions_are_kept_in_order(self, history: RunHistory) -> None:
        history.begin(run_row())
        made = [Decision("a", "warn", "x", 1, 8), Decision("b", "stop", "y", 2, 16)]
        for decision in made:
            history.add_decision("r1", decision)
        assert list(history.get("r1").decisions) == made

    def test_a_resume_runs_again_and_keeps_its_start(self, history: RunHistory) -> None:
        history.begin(run_row(started_at=100.0))
        history.end("r1", "terminated", "why")
        history.begin(run_row(started_at=900.0, max_steps=400))
        run = history.get("r1")
        assert (run.status, run.reason, run.ended_at) == ("running", None, None)
        assert (run.started_at, run.max_steps) == (100.0, 400)

    def test_records_of_an_unknown_run_are_refused(self, history: RunHistory) -> None:
        for say in (
            lambda: history.progress("x", step=1),
            lambda: history.end("x", "finished"),
            lambda: history.add_score("x", Score("m", 1.0, "max")),
            lambda: history.add_decision("x", Decision("a", "warn", "x", 1, 8)),
        ):
            with pytest.raises(StorageError, match="no run 'x'"):
                say()

    def test_runs_are_filtered_and_come_oldest_first(self, history: RunHistory) -> None:
        for i, (study, key) in enumerate([("a", "k"), ("a", "j"), ("b", "k")]):
            row = run_row(f"r{i}", study=study, key=key, started_at=100.0 - i)
            history.begin(row)
        assert [r.id for r in history.runs()] == ["r2", "r1", "r0"]
        assert [r.id for r in history.runs(study="a")] == ["r1", "r0"]
        assert [r.id for r in history.runs(study="a", key="k")] == ["r0"]


class TestGet:
    def test_by_id_its_start_name_or_latest(self, history: RunHistory) -> None:
        history.begin(run_row("20260101-aa", name="one", started_at=1.0))
        history.begin(run_row("20260102-bb", name="two", started_at=2.0))
        assert history.get("20260101-aa").name == "one"
        assert history.get("20260102").name == "two"
        assert history.get("one").id == "20260101-aa"
        assert history.get("latest").name == "two"

    def test_an_ambiguous_or_unknown_run_is_reported(self, history: RunHistory) -> None:
        history.begin(run_row("20260101-aa"))
        history.begin(run_row("20260102-bb"))
        with pytest.raises(StorageError, match=r"matches 2 runs .*Give the whole id"):
            history.get("2026")
        with pytest.raises(StorageError, match=r"no run 'x'\. `sftguide runs list"):
            history.get("x")

    def test_a_name_that_is_nearly_right_is_pointed_out(
        self, history: RunHistory
    ) -> None:
        history.begin(run_row("20260101-aa", name="lora-r64"))
        for typed, meant in (("latset", "latest"), ("lora-64", "lora-r64")):
            with pytest.raises(StorageError, match=f"did you mean '{meant}'"):
                history.get(typed)

    def test_an_empty_history_has_no_latest(self, history: RunHistory) -> None:
        with pytest.raises(StorageError, match="no run 'latest'"):
            history.get("latest")


def peers(history: RunHistory, **more: Any) -> dict[str, tuple[float, float | None]]:
    """The peers of a candidate of study `s` and key `k`: batch ratio and score."""
    candidate = Candidate(**{"study": "s", "key": "k", **more})
    return {p.id: (p.batch_ratio, p.score) for p in history.peers(candidate)}


class TestPeers:
    def test_are_finished_scored_and_comparable(self, history: RunHistory) -> None:
        finished(history, "worse", 0.4)
        finished(history, "best", 0.8)
        finished(history, "other-study", 0.9, study="t")
        finished(history, "other-key", 0.9, key="j")
        finished(history, "not-comparable", 0.9, comparable=False)
        finished(history, "nan", math.nan)
        history.begin(run_row("unscored"))
        history.end("unscored", "finished")
        history.begin(run_row("stopped"))
        history.add_score("stopped", Score("m", 0.95, "max"))
        history.end("stopped", "terminated")
        found = {"worse": (1.0, 0.4), "best": (1.0, 0.8), "nan": (1.0, None)}
        assert peers(history) == found
        del found["best"]
        assert peers(history, without="best") == found

    def test_a_lower_score_is_better_where_the_metric_is_a_loss(
        self, history: RunHistory
    ) -> None:
        for name, value in (("a", 2.0), ("b", 1.0)):
            finished(history, name, value, score={"metric": "loss", "goal": "min"})
        assert peers(history) == {"a": (1.0, -2.0), "b": (1.0, -1.0)}

    def test_scores_of_different_metrics_are_not_compared(
        self, history: RunHistory
    ) -> None:
        finished(history, "a", 0.3)
        finished(history, "b", 0.4)
        finished(history, "c", 55.0, score={"metric": "bleu"})
        assert peers(history) == {"a": (1.0, 0.3), "b": (1.0, 0.4), "c": (1.0, None)}

    def test_keep_their_names_for_a_reference_that_is_named(
        self, history: RunHistory
    ) -> None:
        finished(history, "a", 0.3)
        assert [p.name for p in history.peers(Candidate("s", "k"))] == ["name-a"]

    def test_may_split_the_same_batch_otherwise_where_tokens_are_averaged(
        self, history: RunHistory
    ) -> None:
        ours = batch(8, 1)
        finished(history, "1x8", 0.5, key="j", key_fields=batch(1, 8))
        finished(history, "two-ranks", 0.5, key="j2", key_fields=batch(2, 2, 2))
        finished(history, "larger", 0.5, key="j3", key_fields=batch(8, 4))
        finished(history, "other", 0.5, key="j4", key_fields=batch(8, 1, dtype="bf16"))
        stock = batch(1, 8, loss_normalisation="mean of micro-batch means")
        finished(history, "stock", 0.5, key="j5", key_fields=stock)
        same = {"1x8": (1.0, 0.5), "two-ranks": (1.0, 0.5)}
        assert peers(history, fields=ours) == same
        found = peers(history, fields=ours, noise_measured=True)
        assert found == {**same, "larger": (4.0, 0.5)}
        stock["micro_batch_size"] = 8
        assert peers(history, fields=stock) == {}


class TestDead:
    def test_a_killed_process_is_dead(self, history: RunHistory) -> None:
        code = (
            "import sys, time; sys.path.insert(0, sys.argv[1])\n"
            "from runs import run_row\n"
            "from axolotl_sftguide.runs.history import RunHistory\n"
            "RunHistory(sys.argv[2]).begin(run_row())\n"
            "print('begun', flush=True); time.sleep(60)\n"
        )
        support = str(Path(__file__).parent / "support")
        command = [sys.executable, "-c", code, support, history.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            assert history.get("r1").shown_status == "running"
            process.kill()
            # This process has not waited for it.
            while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
            assert history.get("r1").shown_status == "dead"
        assert history.get("r1").shown_status == "dead"
        assert history.get("r1").status == "running"

    def test_a_process_id_that_another_process_took_over_is_dead(
        self, history: RunHistory
    ) -> None:
        before = this_process()["process_started_at"] - 10  # of the other one's start
        row = run_row(process_started_at=before - 9000, heartbeat_at=before)
        history.begin(row)
        assert history.get("r1").shown_status == "dead"

    def test_elsewhere_a_run_is_dead_after_a_silence(self, history: RunHistory) -> None:
        history.begin(run_row(hostname="another", process_id=1))
        history.progress("r1", step=1)
        assert history.get("r1").shown_status == "running"
        silent = time.time() - run_history.SILENT_AFTER_S - 1
        history.begin(run_row(hostname="another", heartbeat_at=silent))
        assert history.get("r1").shown_status == "dead"

    @pytest.mark.parametrize("status", ["finished", "terminated", "failed"])
    def test_a_run_that_ended_is_never_dead(
        self, history: RunHistory, status: Any
    ) -> None:
        history.begin(run_row(process_started_at=0.0))
        history.end("r1", status)
        assert history.get("r1").shown_status == status


class TestImport:
    def test_a_lost_history_is_rebuilt(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path, "r9", last=12)
        run = history.import_trace(read_trace(path))
        assert (run.status, run.step, run.samples_seen) == ("finished", 12, 96)
        assert run.scores == (Score("m", 0.5, "max", 0.1),)
        assert run.ended_at == pytest.approx(run.started_at + 60)
        assert run.trace_path == str(path)

    def test_twice_is_once(self, history: RunHistory, tmp_path: Path) -> None:
        trace = read_trace(write_trace(tmp_path))
        first = history.import_trace(trace)
        assert history.import_trace(trace) == first
        assert len(history.runs()) == 1

    def test_a_trace_without_an_end_is_of_a_dead_run(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path, end=None, process_started_at=0.0)
        os.utime(path, (0.0, 0.0))
        assert history.import_trace(read_trace(path)).shown_status == "dead"

    def test_scores_that_were_attached_elsewhere_stay(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path)
        history.import_trace(read_trace(path))
        run = history.get("r1")
        path.rename(tmp_path / "moved.jsonl")  # as on a machine without the trace
        history.score_run(run, Score("mmlu", 0.6, "max"))
        history.score_run(run, Score("m", 0.7, "max"))
        (tmp_path / "moved.jsonl").rename(path)
        again = history.import_trace(read_trace(path))
        assert {(s.metric, s.value, s.origin) for s in again.scores} == {
            ("mmlu", 0.6, "attached"),
            ("m", 0.7, "attached"),
        }

    def test_of_two_attached_scores_the_later_one_stays(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path)
        run = history.import_trace(read_trace(path))
        history.score_run(run, Score("mmlu", 0.5, "max"))  # into the trace as well
        history.add_score("r1", Score("mmlu", 0.6, "max", origin="attached"))
        again = history.import_trace(read_trace(path))
        assert again.score("mmlu") == Score("mmlu", 0.6, "max", origin="attached")
        history.score_run(run, Score("mmlu", 0.7, "max"))
        again = history.import_trace(read_trace(path))
        assert again.score("mmlu").value == 0.7  # type: ignore[union-attr]

    def test_a_score_of_the_run_itself_follows_its_trace(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path)
        history.import_trace(read_trace(path))
        path.write_text(path.read_text().replace('"value": 0.5', '"value": 0.25'))
        again = history.import_trace(read_trace(path))
        assert [s.value for s in again.scores] == [0.25]

    def test_a_file_that_a_trace_names_is_never_written(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        victim = tmp_path / "victim.txt"
        victim.write_text("mine")
        path = write_trace(tmp_path / "out", trace_path=str(victim))
        run = history.import_trace(read_trace(path))
        assert run.trace_path == str(path)
        history.score_run(run, Score("mmlu", 0.6, "max"))
        assert victim.read_text() == "mine"

    def test_a_row_that_names_another_file_is_not_followed(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        victim = tmp_path / "victim.txt"
        victim.write_text("mine")
        history.begin(run_row("r1", trace_path=str(victim)))
        history.score_run(history.get("r1"), Score("mmlu", 0.6, "max"))
        assert victim.read_text() == "mine"

    def test_steps_without_counted_samples_are_entered_and_give_no_curve(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path, last=0)
        writer = TraceWriter(path)
        uncounted = [
            replace(o, samples_seen=0, samples_counted=False) for o in steps(64)
        ]
        writer.steps(uncounted)
        writer.close()
        run = history.import_trace(read_trace(path))
        assert (run.step, history.points("r1")) == (64, [])

    def test_points_at_the_same_number_of_samples_are_one(
        self, history: RunHistory
    ) -> None:
        history.begin(run_row())
        history.add_points("r1", [Point(16, 2.0, 1.0), Point(16, 1.0, 1.0)])
        assert history.points("r1") == [Point(16, 1.0, 1.0)]

    def test_a_run_that_is_not_comparable_stays_so(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path, comparable=False)
        assert not history.import_trace(read_trace(path)).comparable

    def test_a_trace_that_does_not_say_enough_changes_nothing(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path)
        history.import_trace(read_trace(path))
        text = path.read_text().replace('"study": "s", ', "", 1)
        path.write_text(text)
        with pytest.raises(TraceError, match=r"is incomplete .*study.*Nothing was"):
            history.import_trace(read_trace(path))
        assert history.get("r1").study == "s"


def batch(
    micro_batch_size: int, accumulation: int, ranks: int = 1, **more: Any
) -> dict[str, Any]:
    """The fields of a key, with the batch as it is divided."""
    return {
        "loss_normalisation": "token mean",
        "micro_batch_size": micro_batch_size,
        "gradient_accumulation_steps": accumulation,
        "ranks": ranks,
        "dtype": "fp32",
        **more,
    }


def baselines_of(history: RunHistory, **more: Any) -> Baselines:
    """What a candidate that measures its noise is compared with."""
    chosen = {"study": "s", "key": "k", "noise_measured": True, **more}
    return baselines(Candidate(**chosen), history, EarlyTerminationSettings())


class TestCurves:
    def curve(self, history: RunHistory, run_id: str, height: float) -> None:
        finished(history, run_id, 0.5)
        points = [Point(16 * i, height / i, height) for i in range(1, 6)]
        history.add_points(run_id, points)

    def test_are_read_at_a_number_of_samples_in_one_query(
        self, history: RunHistory
    ) -> None:
        for i in range(1, 4):
            self.curve(history, f"r{i}", float(i))
        history.add_points("r3", [Point(33, 9.0, 9.0)])  # cuts what came after
        (found,) = history.at([40], ["r1", "r2", "r3"])
        assert set(found) == {"r1", "r2"}
        assert found["r2"].loss == pytest.approx((2 / 2 + 2 / 3) / 2)
        assert found["r2"].grad_norm == 2.0
        assert list(history.at([32], ["r3"])) == [{"r3": Point(32, 1.5, 3.0)}]
        assert list(history.at([8, 81], ["r1"])) == [{}, {}]
        assert list(history.at([40], [])) == [{}]

    def test_norms_of_another_batch_are_stated_at_the_own(
        self, history: RunHistory
    ) -> None:
        """Signal 3, and noise 16 at a batch of 8: 5 there, 3.6 at 32."""
        finished(history, "small", 0.5, key="j", key_fields=batch(8, 1))
        history.add_points("small", [Point(s, 1.0, 5.0, 16.0) for s in (32, 64)])
        finished(history, "unmeasured", 0.5, key="j", key_fields=batch(8, 1))
        history.add_points("unmeasured", [Point(s, 9.0, 9.0) for s in (32, 64)])
        cohort = baselines_of(history, fields=batch(8, 4)).cohort
        assert cohort is not None
        point = cohort.at(48)
        assert point is not None
        assert point.grad_norm == pytest.approx(math.sqrt(9 + 16 / 4))
        assert (point.loss, point.peers) == (1.0, 1)
        same = baselines_of(history, key="j", fields=batch(8, 1)).cohort
        assert same is not None
        assert same.at(48).peers == 2  # type: ignore[union-attr]

    def test_a_reference_of_another_batch_is_stated_at_the_own(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        path = write_trace(
            tmp_path, "small", last=0, key="j", study="s", key_fields=batch(8, 1)
        )
        writer = TraceWriter(path)
        writer.steps(
            Observation(
                i, 8 * i, 1.0, 5.0, 1e-3, grad_noise=16.0 if i % 4 == 1 else None
            )
            for i in range(1, 41)
        )
        writer.close()
        history.import_trace(read_trace(path))
        unmeasured = baselines_of(history, fields=batch(8, 4), noise_measured=False)
        assert unmeasured.reference is None
        curve = baselines_of(history, fields=batch(8, 4)).reference
        assert curve is not None
        assert curve.batch_size == 8
        point = curve.at(200, 16)
        assert point is not None
        assert point.grad_norm == pytest.approx(math.sqrt(9 + 16 / 4))
        own = baselines_of(history, key="j", fields=batch(8, 1)).reference
        assert own is not None
        assert own.at(200, 16).grad_norm == 5.0  # type: ignore[union-attr]

    def test_a_cohort_is_read_whole(self, history: RunHistory) -> None:
        assert baselines_of(history).cohort is None
        for i in range(1, 10):
            self.curve(history, f"r{i}", float(i))
        cohort = baselines_of(history).cohort
        assert cohort is not None
        point = cohort.at(32)
        assert point is not None
        assert (point.loss, point.grad_norm, point.peers) == (2.5, 5.0, 9)

    def test_come_back_from_a_trace(self, history: RunHistory, tmp_path: Path) -> None:
        trace = read_trace(write_trace(tmp_path, last=40))
        history.import_trace(trace)
        assert history.points("r1") == points_of(trace.observations)
        assert len(history.points("r1")) == 2


def old_history(folder: Path, script: str) -> Path:
    path = folder / "old.db"
    with sqlite3.connect(path) as database:
        database.executescript(script)
    return path


def of_third_version(storage: str) -> None:
    """A history with one run, as the version before the current one made it."""
    history = RunHistory(storage)
    history.begin(run_row())
    history.progress("r1", loss=0.25)
    history.add_decision("r1", Decision("divergence", "warn", "rose", 7, 56))
    history.close()
    engine = sa.create_engine(storage if "://" in storage else f"sqlite:///{storage}")
    with engine.begin() as connection:
        connection.exec_driver_sql("drop table tags")
        for table, column in (
            ("runs", "device"),
            ("runs", "step_s"),
            ("scores", "origin"),
            ("scores", "examples"),
            ("decisions", "signals"),
        ):
            connection.exec_driver_sql(f"alter table {table} drop column {column}")
        connection.exec_driver_sql("update sftguide_meta set schema_version = 3")
    engine.dispose()


def layout(storage: str) -> Any:
    engine = sa.create_engine(storage if "://" in storage else f"sqlite:///{storage}")
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        version = connection.exec_driver_sql("select * from sftguide_meta").all()
        columns = {
            table: [column["name"] for column in inspector.get_columns(table)]
            for table in inspector.get_table_names()
        }
    engine.dispose()
    return version, columns


@pytest.fixture
def in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe and a search space, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    find_recipe("quickstart-cpu").copy_to(tmp_path)
    Path("recipe.yml").write_text(find_recipe("quickstart-cpu").text)
    Path("space.yml").write_text("learning_rate: [1.0e-4, 1.0e-3]\n")
    return tmp_path


class TestUpgrade:
    def test_opening_an_older_history_names_the_command_and_changes_nothing(
        self, storage: str
    ) -> None:
        of_third_version(storage)
        before = layout(storage)
        with pytest.raises(StorageError) as caught:
            RunHistory(storage)
        told = str(caught.value)
        assert "has schema version 3, and this axolotl-sftguide needs version 6" in told
        assert "Upgrade it: sftguide runs upgrade --storage " in told
        assert "\n" not in told
        assert layout(storage) == before

    @pytest.mark.parametrize(
        "words", [["quickstart"], ["sweep", "recipe.yml", "space.yml"]]
    )
    def test_commands_that_train_name_it_before_they_train(
        self, storage: str, words: list[str], in_a_project: Path
    ) -> None:
        of_third_version(storage)
        found = CliRunner().invoke(main, [*words, "--storage", storage])
        assert found.exit_code == 2, found.output
        assert "Upgrade it: sftguide runs upgrade --storage " in found.output
        assert not (in_a_project / "outputs").exists()

    def test_an_upgrade_keeps_the_runs_and_adds_the_columns(self, storage: str) -> None:
        RunHistory(storage).close()
        current = layout(storage)
        of_third_version(storage)
        assert layout(storage) != current
        done = upgrade_storage(storage)
        assert (done.before, done.after) == (3, SCHEMA_VERSION)
        version, columns = layout(storage)
        assert version == [(SCHEMA_VERSION,)]
        assert {t: set(c) for t, c in columns.items()} == {
            t: set(c) for t, c in current[1].items()
        }
        history = RunHistory(storage)
        run = history.get("r1")
        assert (run.loss, run.step_s, run.tags) == (0.25, None, ())
        assert [(d.rule, d.signals) for d in run.decisions] == [("divergence", ())]
        history.tag(run, ["kept"])
        assert history.get("r1").tags == ("kept",)
        history.close()

    def test_an_upgrade_of_a_current_history_changes_nothing(
        self, storage: str
    ) -> None:
        RunHistory(storage).close()
        before = layout(storage)
        done = upgrade_storage(storage)
        assert (done.before, done.after) == (SCHEMA_VERSION, SCHEMA_VERSION)
        assert layout(storage) == before

    def test_an_upgrade_makes_no_history(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="does not exist"):
            upgrade_storage(str(tmp_path / "none.db"))
        assert list(tmp_path.iterdir()) == []

    def test_a_newer_history_is_not_upgraded(
        self, file: RunHistory, tmp_path: Path
    ) -> None:
        file.close()
        with sqlite3.connect(tmp_path / "h.db") as database:
            database.execute("update sftguide_meta set schema_version = 9")
        with pytest.raises(StorageError, match="has schema version 9"):
            upgrade_storage(str(tmp_path / "h.db"))

    def test_a_history_of_the_first_version_is_kept_and_gains_curves(
        self, tmp_path: Path
    ) -> None:
        path = old_history(tmp_path, FIRST_VERSION)
        assert upgrade_storage(str(path)).before == 1
        history = RunHistory(str(path))
        (run,) = history.runs()
        assert (run.id, run.loss, run.scores[0].value) == ("r1", 0.25, 0.75)
        history.add_points("r1", [Point(16, 1.0, 2.0)])
        assert RunHistory(str(path)).points("r1") == [Point(16, 1.0, 2.0)]

    def test_a_history_of_the_second_version_keeps_its_curves(
        self, tmp_path: Path
    ) -> None:
        path = old_history(tmp_path, FIRST_VERSION + ADDED_IN_SECOND)
        assert upgrade_storage(str(path)).before == 2
        history = RunHistory(str(path))
        assert history.points("r1") == [Point(16, 1.5, 2.5)]
        history.add_points("r1", [Point(32, 1.0, 2.0, 0.5)])
        assert RunHistory(str(path)).points("r1")[1].grad_noise == 0.5

    def test_a_history_of_an_earlier_version_gains_the_step_time(
        self, tmp_path: Path
    ) -> None:
        path = old_history(tmp_path, FIRST_VERSION)
        upgrade_storage(str(path))
        history = RunHistory(str(path))
        assert history.get("r1").samples_per_s is None
        history.progress("r1", device="cpu", step_s=2.0)
        run = RunHistory(str(path)).get("r1")
        assert (run.device, run.step_s, run.samples_per_s) == ("cpu", 2.0, 4.0)

    def test_the_command_upgrades_once(self, tmp_path: Path) -> None:
        path = old_history(tmp_path, FIRST_VERSION)
        words = ["runs", "upgrade", "--storage", str(path)]
        first, second = (CliRunner().invoke(main, words) for _ in range(2))
        assert (first.exit_code, second.exit_code) == (0, 0)
        assert "upgraded from schema version 1 to 6; older versions" in first.output
        assert "already has schema version 6" in second.output
        assert f"storage: sqlite:///{path}" in second.output


ADDED_IN_SECOND = """
update sftguide_meta set schema_version = 2;
create table points (run_id varchar not null, samples_seen bigint not null,
  loss double precision not null, grad_norm double precision not null,
  primary key (run_id, samples_seen)) without rowid;
insert into points values ('r1', 16, 1.5, 2.5);
"""

FIRST_VERSION = """
create table sftguide_meta (schema_version integer not null);
insert into sftguide_meta values (1);
create table runs (id varchar not null, name varchar not null, study varchar not null,
  "key" varchar not null, key_fields json not null, comparable boolean not null,
  host varchar not null, config json not null, status varchar not null, reason varchar,
  output_dir varchar not null, trace_path varchar, hostname varchar not null,
  process_id integer not null, process_started_at float not null,
  started_at float not null, heartbeat_at float not null, ended_at float,
  step integer not null, max_steps integer not null, samples_seen bigint not null,
  loss double precision, grad_norm double precision, primary key (id));
create table scores (run_id varchar not null, metric varchar not null,
  value double precision not null, goal varchar not null, base_value double precision,
  recorded_at float not null, primary key (run_id, metric));
create table decisions (id integer not null, run_id varchar not null,
  rule varchar not null, action varchar not null, reason varchar not null,
  step integer not null, samples_seen bigint not null, figures json not null,
  reference varchar, primary key (id));
insert into runs values ('r1', 'n', 's', 'k', '{}', 1, 'trl', '{}', 'finished', null,
  '/o', null, 'h', 1, 1.0, 2.0, 3.0, 4.0, 10, 10, 80, 0.25, 0.5);
insert into scores values ('r1', 'm', 0.75, 'max', null, 5.0);
"""


class TestStorage:
    def test_the_argument_comes_before_the_variable(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SFTGUIDE_STORAGE", "/from/variable.db")
        assert resolve_storage("/given.db") == "sqlite:////given.db"
        assert resolve_storage() == "sqlite:////from/variable.db"
        monkeypatch.delenv("SFTGUIDE_STORAGE")
        assert resolve_storage().endswith("sftguide/runs.db")
        assert resolve_storage("postgresql://h/d") == "postgresql://h/d"

    def test_a_home_is_written_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/ada")
        assert resolve_storage("~/runs.db") == "sqlite:////home/ada/runs.db"

    @pytest.mark.parametrize("name", ["what?.db", "a?b=c.db", "100%25?.db", "a b#.db"])
    def test_a_path_keeps_its_question_mark(self, name: str, tmp_path: Path) -> None:
        storage = str(tmp_path / "on?the way" / name)
        history = RunHistory(storage)
        history.begin(run_row())
        history.close()
        assert is_there(storage)
        assert Path(storage).is_file()
        again = RunHistory(resolve_storage(storage))
        assert [run.id for run in again.runs()] == ["r1"]
        again.close()

    @pytest.mark.parametrize("mask", [0o077, 0o002])
    def test_the_files_are_for_their_owner_alone(
        self, tmp_path: Path, mask: int
    ) -> None:
        before = os.umask(mask)
        try:
            history = RunHistory(str(tmp_path / "a" / "h.db"))
            history.begin(run_row())
            found = {p.stat().st_mode & 0o777 for p in (tmp_path / "a").iterdir()}
            history.close()
        finally:
            os.umask(before)
        assert found == {0o600}
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o777 & ~mask

    def test_folders_on_the_way_are_made(self, tmp_path: Path) -> None:
        RunHistory(str(tmp_path / "a" / "b" / "h.db")).begin(run_row())
        assert (tmp_path / "a" / "b" / "h.db").exists()

    def test_a_newer_version_gets_an_error_that_names_the_upgrade(
        self, file: RunHistory, tmp_path: Path
    ) -> None:
        file.begin(run_row())
        with sqlite3.connect(tmp_path / "h.db") as database:
            database.execute("update sftguide_meta set schema_version = 9")
        with pytest.raises(
            StorageError, match=r"has schema version 9.*Upgrade axolotl-sftguide, or"
        ):
            RunHistory(str(tmp_path / "h.db"))

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("nonsense://x", "not a usable storage URL"),
            ("mysql+pymysql://u:secret@h/d", "not a usable storage URL"),
            ("/dev/null/runs.db", "cannot be opened"),
            ("/proc/none/runs.db", "cannot be opened"),
        ],
    )
    def test_an_unusable_storage_gets_a_one_line_error(
        self, url: str, says: str
    ) -> None:
        with pytest.raises(StorageError) as caught:
            RunHistory(url)
        told = str(caught.value)
        assert says in told
        assert "\n" not in told
        assert "secret" not in told

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            (
                "postgresql+psycopg://u:secret@127.0.0.1:1/d",
                "the driver psycopg is not installed; pip install "
                "'axolotl-sftguide[postgresql]'",
            ),
            (
                "postgresql+psycopg2://u:secret@127.0.0.1:1/d",
                "the driver psycopg2 is not installed; write postgresql+psycopg://..., "
                "and pip install 'axolotl-sftguide[postgresql]'",
            ),
        ],
    )
    def test_a_missing_driver_of_postgresql_says_what_to_install(
        self, url: str, says: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        monkeypatch.setitem(sys.modules, "psycopg2", None)
        with pytest.raises(StorageError) as caught:
            RunHistory(url)
        assert str(caught.value).endswith(says)
        assert "secret" not in str(caught.value)

    def test_a_file_that_is_not_a_database_gets_a_one_line_error(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "h.db"
        path.write_text(
            "these are notes, not a database, and long enough to be one" * 9
        )
        with pytest.raises(StorageError, match="file is not a database"):
            RunHistory(str(path))
        assert path.read_text().startswith("these are notes")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_file_that_may_only_be_read_can_be_listed(
        self, file: RunHistory, tmp_path: Path
    ) -> None:
        file.begin(run_row())
        (tmp_path / "h.db").chmod(0o444)
        assert len(RunHistory(str(tmp_path / "h.db")).runs()) == 1

    def test_readers_do_not_wait_for_a_writer(
        self, file: RunHistory, tmp_path: Path
    ) -> None:
        file.begin(run_row())
        writer = sqlite3.connect(tmp_path / "h.db", isolation_level=None)
        writer.execute("begin immediate")
        try:
            assert len(RunHistory(file.url).runs()) == 1
            with pytest.raises(StorageError, match=r"locked.*runs import"):
                file.progress("r1", step=5)
        finally:
            writer.close()
        file.progress("r1", step=6)
        assert file.get("r1").step == 6

    @pytest.mark.parametrize(
        "writers", [4, pytest.param(32, marks=pytest.mark.slow, id="32")]
    )
    def test_processes_that_write_together_all_succeed(
        self, storage: str, writers: int
    ) -> None:
        code = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from runs import run_row\n"
            "from axolotl_sftguide.runs.history import RunHistory, Score\n"
            # 32 processes on two cores may wait for long, but none in vain.
            "history = RunHistory(sys.argv[2], timeout_s=120)\n"
            "for i in range(10):\n"
            "    run_id = f'{sys.argv[3]}-{i}'\n"
            "    history.begin(run_row(run_id))\n"
            "    for step in range(5): history.progress(run_id, step=step)\n"
            "    history.add_score(run_id, Score('m', i / 10, 'max'))\n"
            "    history.end(run_id, 'finished')\n"
        )
        support = str(Path(__file__).parent / "support")
        command = [sys.executable, "-c", code, support, storage]
        processes = [subprocess.Popen([*command, str(i)]) for i in range(writers)]
        assert [p.wait(300) for p in processes] == [0] * writers
        runs = RunHistory(storage).runs()
        assert len(runs) == 10 * writers
        assert {(r.status, r.step, len(r.scores)) for r in runs} == {("finished", 4, 1)}
