"""`sftguide runs list`, `compare`, `best` and `delete`, and the history as a table."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any, get_args

import optuna
import pytest
from click.testing import CliRunner, Result
from runs import run_row, steps, write_trace

from axolotl_sftguide.cli import main
from axolotl_sftguide.runs.history import RunHistory, Score, Status
from axolotl_sftguide.runs.traces import TraceWriter
from axolotl_sftguide.signals import points_of


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def ok(*words: str | Path) -> str:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return done.output


def faulty(*words: str | Path) -> str:
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return done.output


def ids(*words: str) -> list[str]:
    return [one["id"] for one in json.loads(ok("runs", "list", "--json", *words))]


@pytest.fixture
def history() -> RunHistory:
    """Four runs: three of study `s` with scores, one of another that has failed."""
    found = RunHistory()
    for i, (rate, score) in enumerate([(1e-4, 0.5), (1e-3, 0.7), (1e-2, math.nan)]):
        row = run_row(
            f"r{i}", config={"learning_rate": rate}, started_at=1e9 + 86400 * i
        )
        found.begin(row)
        found.add_points(f"r{i}", points_of(steps(64, loss=2.0 + i)))
        last = {"step": 64, "samples_seen": 512, "loss": 1.0 - i / 10}
        found.progress(f"r{i}", **last, grad_norm=0.5)
        found.end(f"r{i}", "finished")
        found.add_score(f"r{i}", Score("accuracy", score, "max"))
    found.begin(run_row("x", study="other", key="elsewhere"))
    found.end("x", "failed", 'out of memory, = and "quotes"')
    return found


@pytest.mark.usefixtures("history")
class TestList:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["--sort", "score"], ["r1", "r0", "r2", "x"]),
            (["--sort", "accuracy"], ["r1", "r0", "r2", "x"]),
            (["--sort", "started"], ["x", "r2", "r1", "r0"]),
            (["--sort", "loss"], ["r2", "r1", "r0", "x"]),
            (["--sort", "learning_rate"], ["r0", "x", "r1", "r2"]),
            (["--sort", "score", "--limit", "1"], ["r1"]),
            (["--limit", "1"], ["x"]),
            (["--status", "failed"], ["x"]),
            (["--key", "else"], ["x"]),
            (["--since", "1h"], ["x"]),
            (["--since", "2001-09-10"], ["r1", "r2", "x"]),
        ],
    )
    def test_is_filtered_and_sorted(
        self, words: list[str], expected: list[str]
    ) -> None:
        assert ids(*words) == expected

    def test_an_unknown_key_to_sort_by_is_named(self) -> None:
        said = faulty("runs", "list", "--sort", "learning_rat")
        assert "no run has 'learning_rat'" in said

    def test_a_time_that_is_none_is_named(self) -> None:
        assert "'yesterday' is not a date" in faulty(
            "runs", "list", "--since", "yesterday"
        )

    def test_a_status_that_is_none_is_named(self) -> None:
        said = faulty("runs", "list", "--status", "fnished")
        assert "'fnished' is not one of 'running', 'finished', 'terminated'" in said
        for status in (*get_args(Status), "dead"):
            ok("runs", "list", "--status", status)

    def test_a_filter_that_nothing_matches_says_so(self) -> None:
        said = ok("runs", "list", "--status", "running")
        assert said == "none of 4 runs matches the filter\n"

    def test_csv_has_scores_and_the_settings_that_differ(self) -> None:
        rows = list(csv.DictReader(io.StringIO(ok("runs", "list", "--csv"))))
        assert [row["id"] for row in rows] == ["r0", "r1", "r2", "x"]
        assert rows[1]["score.accuracy"] == "0.7"
        assert rows[1]["config.learning_rate"] == "0.001"
        assert rows[1]["started_at"].startswith("2001-09-10T")
        assert rows[3]["reason"] == 'out of memory, = and "quotes"'


class TestCompare:
    def test_settings_come_first_then_outcomes_then_curves(
        self, history: RunHistory
    ) -> None:
        said = ok("runs", "compare", "r0", "r1")
        parts = ["settings that differ", "learning_rate", "outcome", "accuracy", "loss"]
        places = [said.index(part) for part in parts]
        assert places == sorted(places)
        assert "0.0001" in said
        assert "comparability" not in said

    def test_curves_are_read_after_the_same_samples(self, history: RunHistory) -> None:
        found = json.loads(ok("runs", "compare", "r0", "r2", "--json"))
        at = found["curves"][-1]
        assert at["samples"] == 512
        assert at["loss"][1] == pytest.approx(2 * at["loss"][0])
        assert None not in [one["loss"][0] for one in found["curves"][1:]]
        assert found["config"] == {"learning_rate": [1e-4, 1e-2]}

    def test_runs_that_may_not_be_compared_are_told_apart(
        self, history: RunHistory
    ) -> None:
        history.begin(run_row("y", key="k2", key_fields={"base_model": "other"}))
        said = ok("runs", "compare", "r0", "y")
        assert "different comparability keys" in said
        assert "base_model" in said

    def test_names_are_looked_up_in_a_study(self, history: RunHistory) -> None:
        for study in ("a", "b"):
            history.begin(run_row(f"t-{study}", name="trial-0000", study=study))
        assert "matches 2 runs" in faulty("runs", "compare", "trial-0000", "r0")
        done = faulty("runs", "compare", "trial-0000", "r0", "--study", "a")
        assert "no run 'r0' in study 'a'" in done

    def test_one_run_is_no_comparison(self, history: RunHistory) -> None:
        assert "two or more" in faulty("runs", "compare", "r0", "name-r0")


class TestShow:
    def test_has_the_held_out_loss_and_what_a_packed_step_holds(
        self, tmp_path: Path
    ) -> None:
        fields = dict.fromkeys(("micro_batch_size", "gradient_accumulation_steps"), 1)
        fields |= {"ranks": 1, "packing": True}
        path = write_trace(tmp_path, "r1", end=None, key_fields=fields)
        writer = TraceWriter(path)
        for step, loss in ((2, 1.5), (6, 0.9), (10, 1.1)):
            writer.event("evaluation", step=step, metrics={"eval_loss": loss})
        writer.event("end", status="finished", reason=None, at=2e9)
        writer.close()
        ok("runs", "import", tmp_path)
        said = " ".join(ok("runs", "show", "r1").split())
        assert "held-out loss 1.5 to 1.1" in said
        assert "lowest 0.9 at step 6" in said
        assert "1 packed sequence = 1 x 1 accumulated, about 8 samples" in said


class TestBest:
    def test_is_the_best_score_of_a_study(self, history: RunHistory) -> None:
        assert json.loads(ok("runs", "best", "--study", "s", "--json"))["id"] == "r1"
        assert "accuracy 0.7" in ok("runs", "best", "--study", "s")

    def test_of_a_loss_it_is_the_lowest(self, history: RunHistory) -> None:
        for i in range(2):
            history.add_score(f"r{i}", Score("eval_loss", 1.0 + i, "min"))
        words = ("runs", "best", "--study", "s", "--metric", "eval_loss", "--json")
        assert json.loads(ok(*words))["id"] == "r0"

    def test_is_by_the_metric_that_the_runs_settings_name(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        """Not by the one that most runs have; report and export follow it too."""
        rules = {"sftguide": {"early_termination": {"metric": "f1"}}}
        for i, f1 in enumerate([0.9, 0.3]):
            row = run_row(f"n{i}", study="named", config=rules | {"learning_rate": i})
            history.begin(row)
            history.progress(f"n{i}", step=64)
            history.end(f"n{i}", "finished")
            history.add_score(f"n{i}", Score("accuracy", float(i), "max"))
            history.add_score(f"n{i}", Score("f1", f1, "max"))
        history.begin(run_row("n2", study="named", config={"learning_rate": 2}))
        history.end("n2", "finished")
        history.add_score("n2", Score("accuracy", 2.0, "max"))
        study = ("--study", "named")
        assert json.loads(ok("runs", "best", *study, "--json"))["id"] == "n0"
        assert ids(*study, "--sort", "score")[0] == "n0"
        page = tmp_path / "report.html"
        ok("report", *study, "-o", page)
        assert '"metric": "f1"' in page.read_text().replace('":"', '": "')
        ok("runs", "export", *study, "--to", tmp_path / "optuna.db")
        url = f"sqlite:///{tmp_path / 'optuna.db'}"
        exported = optuna.load_study(study_name="named", storage=url)
        assert exported.metric_names == ["f1"]
        assert exported.best_value == 0.9

    def test_without_a_score_there_is_none(self, history: RunHistory) -> None:
        assert "no run of study 'other' has a score" in faulty(
            "runs", "best", "--study", "other"
        )


class TestRename:
    def test_the_name_is_in_a_history_that_is_rebuilt(self, tmp_path: Path) -> None:
        path = write_trace(tmp_path, "r1")
        ok("runs", "import", path)
        assert "r1: name-r1 is now good one" in ok("runs", "rename", "r1", " good one")
        assert json.loads(ok("runs", "show", "good one", "--json"))["id"] == "r1"
        again = tmp_path / "again.db"
        ok("runs", "import", path, "--storage", again)
        assert RunHistory(str(again)).get("r1").name == "good one"

    def test_a_resumed_run_has_the_name_of_its_config(self, tmp_path: Path) -> None:
        path = write_trace(tmp_path, "r1")
        ok("runs", "import", path)
        ok("runs", "rename", "r1", "other")
        writer = TraceWriter(path)
        writer.event("resume", step=5, run=run_row("r1"))
        writer.close()
        ok("runs", "import", path)
        assert RunHistory().get("r1").name == "name-r1"

    def test_an_empty_name_is_refused(self, history: RunHistory) -> None:
        assert "cannot be empty" in faulty("runs", "rename", "r1", " ")


class TestTag:
    def test_tags_are_added_removed_and_listed(self, history: RunHistory) -> None:
        assert "r1 name-r1: no tags" in ok("runs", "tag", "r1")
        assert "name-r1: baseline, paper" in ok(
            "runs", "tag", "r1", "paper", "baseline"
        )
        ok("runs", "tag", "r2", "paper")
        assert ids("--tag", "paper") == ["r1", "r2"]
        assert ids("--tag", "paper", "--tag", "baseline") == ["r1"]
        assert "none of 4 runs" in ok("runs", "list", "--tag", "papers")
        assert "baseline, paper" in ok("runs", "list")
        assert "baseline, paper" in ok("runs", "show", "r1")
        listed = json.loads(ok("runs", "list", "--json", "--tag", "baseline"))
        assert listed[0]["tags"] == ["baseline", "paper"]
        rows = csv.DictReader(io.StringIO(ok("runs", "list", "--csv")))
        assert {row["id"]: row["tags"] for row in rows}["r1"] == "baseline, paper"
        assert "name-r1: paper" in ok("runs", "tag", "r1", "--remove", "baseline")
        assert "name-r1: no tags" in ok("runs", "tag", "r1", "--remove")
        assert ids("--tag", "paper") == ["r2"]

    def test_an_unknown_tag_and_one_that_cannot_be_read_back_are_refused(
        self, history: RunHistory
    ) -> None:
        ok("runs", "tag", "r1", "paper")
        told = faulty("runs", "tag", "r1", "--remove", "papers")
        assert "has no tag 'papers'; it has paper" in " ".join(told.split())
        for tag in ("", "a,b", "a\nb", "x" * 61):
            assert "cannot be a tag" in faulty("runs", "tag", "r1", tag)
        assert history.get("r1").tags == ("paper",)

    def test_tags_are_in_the_trace_and_come_back_with_it(self, tmp_path: Path) -> None:
        path = write_trace(tmp_path)
        ok("runs", "import", path)
        ok("runs", "tag", "r1", "paper", "baseline")
        ok("runs", "tag", "r1", "--remove", "baseline")
        ok("runs", "delete", "--yes", "r1")
        ok("runs", "import", path)
        assert ids("--tag", "paper") == ["r1"]
        assert ids("--tag", "baseline") == []
        ok("runs", "import", path)  # replaces the run, and keeps what it has
        assert ids("--tag", "paper") == ["r1"]

    def test_a_report_of_tagged_runs_has_only_these(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        ok("runs", "tag", "r1", "paper")
        page = tmp_path / "report.html"
        words = ("report", "--study", "s", "--tag", "paper", "-o", page)
        assert "1 run of s" in ok(*words)
        assert "paper" in page.read_text()
        assert "none of the runs has the tags x" in faulty("report", "--tag", "x")


class TestDelete:
    def test_removes_runs_after_a_question(self, history: RunHistory) -> None:
        refused = CliRunner().invoke(main, ["runs", "delete", "r0"], input="n\n")
        assert refused.exit_code == 1
        assert len(history.runs()) == 4
        assert "removed 2 runs" in ok("runs", "delete", "r0", "r1", "--yes")
        assert [one.id for one in history.runs()] == ["r2", "x"]
        assert history.points("r0") == []

    def test_a_running_one_stays(self, history: RunHistory) -> None:
        history.begin(run_row("now"))
        assert "now: still running" in faulty("runs", "delete", "now", "--yes")


class TestDataFrame:
    def test_has_a_row_a_run_with_scores_and_settings(
        self, history: RunHistory
    ) -> None:
        pytest.importorskip("pandas")
        frame: Any = history.to_dataframe(study="s")
        assert list(frame.index) == ["r0", "r1", "r2"]
        assert frame.loc["r1", "score.accuracy"] == 0.7
        assert frame["config.learning_rate"].idxmax() == "r2"
        assert str(frame["started_at"].dt.tz) == "UTC"

    def test_of_no_runs_is_empty(self, tmp_path: Path) -> None:
        pytest.importorskip("pandas")
        assert RunHistory(str(tmp_path / "new.db")).to_dataframe().empty


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "list"],
        ["runs", "compare", "a", "b"],
        ["runs", "best"],
        ["runs", "delete", "a", "--yes"],
        ["backtest", "--study", "s"],
    ],
)
def test_a_mistyped_storage_is_named_and_nothing_is_created(
    words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "none.db"
    assert "does not exist (nothing created)" in faulty(*words, "--storage", path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["runs", "best"], ["backtest"]])
def test_an_unknown_study_is_named(words: list[str], history: RunHistory) -> None:
    said = faulty(*words, "--study", "nope")
    assert "no runs in study 'nope'; studies: other, s" in said
