"""The command line: what it prints, and one clear line for each fault."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from runs import run_row, steps, write_trace

from axolotl_sftguide.cli import main
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.runs.traces import read_trace


def sftguide(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(w) for w in words])


def ok(*words: str | Path) -> str:
    result = sftguide(*words)
    assert result.exit_code == 0, result.output
    return result.output


def faulty(*words: str | Path) -> str:
    result = sftguide(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    return result.stderr.strip()


@pytest.fixture
def history(tmp_path: Path) -> RunHistory:
    history = RunHistory()
    row: dict[str, Any] = {"output_dir": str(tmp_path), "started_at": 1e9}
    history.begin(run_row("a1", name="good", **row))
    history.progress("a1", step=100, samples_seen=800, loss=0.5, grad_norm=0.25)
    history.add_score("a1", Score("exact", 0.75, "max", base_value=0.1))
    history.end("a1", "finished")
    history.begin(run_row("b2", name="bad [x]", study="other", **row))
    history.progress("b2", step=38, loss=float("nan"))
    history.add_decision("b2", Decision("divergence", "stop", "loss 9 [/x]", 38, 304))
    history.end("b2", "terminated", "divergence: loss 9 [/x]")
    return history


@pytest.mark.usefixtures("history")
class TestRuns:
    def test_are_listed_with_status_score_and_steps_saved(self) -> None:
        said = ok("runs", "list")
        (good,) = [x for x in said.splitlines() if "a1" in x]
        for part in ("good", "finished", "100/100", "0.5", "0.75", "0.1"):
            assert part in good
        (bad,) = [x for x in said.splitlines() if "b2" in x]
        for part in ("terminated", "38/100", "62 (62%)", "NaN", "divergence: loss 9"):
            assert part in bad

    def test_names_and_reasons_are_no_markup(self) -> None:
        assert "bad [x]" in ok("runs", "list")
        assert "loss 9 [/x]" in ok("runs", "show", "b2")

    def test_the_storage_is_named(self, tmp_path: Path) -> None:
        line = f"storage: sqlite:///{tmp_path / 'runs.db'}"
        for words in (("runs", "list"), ("runs", "show", "a1")):
            assert ok(*words).splitlines()[-1] == line

    def test_are_filtered_by_study(self) -> None:
        said = ok("runs", "list", "--study", "other")
        assert "b2" in said
        assert "a1" not in said

    def test_as_json_are_strict_and_whole(self) -> None:
        def refuse(constant: str) -> Any:
            raise AssertionError(constant)

        found = json.loads(ok("runs", "list", "--json"), parse_constant=refuse)
        assert [r["id"] for r in found] == ["a1", "b2"]
        assert found[0]["scores"][0]["value"] == 0.75
        assert found[1]["steps_saved"] == 62
        shown = json.loads(ok("runs", "show", "b2", "--json"), parse_constant=refuse)
        assert shown == found[1]

    def test_one_is_shown_with_all_that_is_known(self) -> None:
        said = ok("runs", "show", "good", "--config")
        for part in (
            "finished",
            "100 of 100",
            "exact 0.75 (base 0.1)",
            "learning rate 0.0005",
            "learning_rate: 0.0005",
        ):
            assert part in said
        assert "effective_batch_size" not in said
        assert "effective_batch_size" in ok("runs", "show", "good", "--key")
        stopped = ok("runs", "show", "b2")
        assert "step 38 (304 samples), rule divergence: loss 9" in stopped
        assert "62 saved (62%)" in stopped

    def test_paths_are_whole_on_their_line_at_80_columns(
        self, history: RunHistory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        folder = f"/data/{'long-name-of-a-project/' * 4}outputs/first"
        trace = f"{folder}/sftguide-trace-20261126-131109-248a5d28.jsonl"
        history.begin(run_row("far", output_dir=folder, trace_path=trace))
        lines = ok("runs", "show", "far").splitlines()
        assert f"output         {folder}" in lines
        assert f"trace          {trace}" in lines

    def test_a_dead_run_is_shown_as_dead(self, history: RunHistory) -> None:
        history.begin(run_row("c3", process_started_at=0.0, heartbeat_at=0.0))
        assert re.search(r"c3\s.*\sdead\s", ok("runs", "list"))


def sweep_of(history: RunHistory, rates: list[float], tmp_path: Path) -> None:
    """Runs of a study `swept` that differ in their rate and in one long key."""
    for index, rate in enumerate(rates):
        run = f"20261120-22133{index}-9f3a"
        config = {"learning_rate": rate, "gradient_accumulation_steps": index}
        history.begin(
            run_row(
                run,
                study="swept",
                name=f"trial-{index:04d}",
                config={**config, "output_dir": f"o{index}"},
                started_at=2e9 + index,
                max_steps=1000,
            )
        )
        history.progress(run, step=1000, samples_seen=8000, loss=1.2345)
        history.add_score(
            run, Score("heldout_exact_match", 0.3079 + index / 100, "max")
        )
        history.end(run, "finished")


class TestTheTable:
    """At 80 columns: one line a run, what was swept, and every score."""

    @pytest.fixture(autouse=True)
    def narrow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")

    def test_fits_80_columns_and_cuts_no_score(
        self, history: RunHistory, tmp_path: Path
    ) -> None:
        sweep_of(history, [1e-6, 2e-4, 1.0], tmp_path)
        said = ok("runs", "list", "--study", "swept")
        *table, storage = said.splitlines()
        assert storage.startswith("storage: ")
        assert max(map(len, table)) <= 80
        for index, rate in enumerate(("1e-06", "0.0002", "1")):
            (line,) = [x for x in said.splitlines() if f"22133{index}-9f3a" in x]
            ident, shown_rate, accumulation, score, status, *_ = line.split()
            assert len(ident) == 20
            assert (shown_rate, accumulation) == (rate, str(index))
            assert (score, status) == (f"{0.3079 + index / 100:.4g}", "finished")

    def test_names_what_differs_and_does_not_fit(
        self, history: RunHistory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        sweep_of(history, [1e-6, 2e-4], tmp_path)
        monkeypatch.setenv("COLUMNS", "50")
        said = ok("runs", "list", "--study", "swept")
        assert "0.3079" in said
        assert "columns that do not fit in a width of 50: " in said

    def test_lists_the_newest_runs(self, history: RunHistory, tmp_path: Path) -> None:
        sweep_of(history, [1e-6, 2e-4, 1e-3], tmp_path)
        said = ok("runs", "list", "--limit", "2")
        assert "2 newest of 5 runs; --limit 0 lists all" in said
        assert "good" not in said
        assert "221332-9f3a" in said
        assert len(json.loads(ok("runs", "list", "--json"))) == 5


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        elif not command.hidden:
            yield (*path, name), command


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_80_columns_and_cuts_no_sentence(path: tuple[str, ...]) -> None:
    said = ok(*path, "-h")
    assert said == ok(*path, "--help")
    assert max(map(len, said.splitlines())) <= 80
    _, _, text = said.partition("\n\n")  # without the usage
    assert not [line for line in text.splitlines() if line.endswith("...")]


def test_no_color_takes_the_colour_away(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    command = click.Command("paint", callback=lambda: seen.append(color()))
    monkeypatch.setitem(main.commands, "paint", command)

    def color() -> bool | None:
        return click.get_current_context().color

    ok("paint")
    monkeypatch.setenv("NO_COLOR", "1")
    ok("paint")
    assert seen == [None, False]


class TestImport:
    def test_a_lost_history_comes_back_from_a_folder(self, tmp_path: Path) -> None:
        write_trace(tmp_path / "outputs" / "one", "one", last=12)
        cut = write_trace(tmp_path / "outputs" / "two", "two", last=7, end=None)
        cut.write_bytes(cut.read_bytes()[:-30])
        said = ok("runs", "import", tmp_path / "outputs")
        assert "one name-one: finished, 12 steps" in said
        assert re.search(r"two name-two: \w+, 7 steps; the last line is incom", said)
        assert "12/100" in ok("runs", "list")

    def test_a_broken_trace_does_not_keep_the_others_out(self, tmp_path: Path) -> None:
        write_trace(tmp_path / "b", "good")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "sftguide-trace-x.jsonl").write_text("nonsense\n")
        without_id = write_trace(tmp_path / "a", "y")
        without_id.write_text(without_id.read_text().replace('"id": "y", ', "", 1))
        said = faulty("runs", "import", tmp_path)
        faults = [x for x in said.splitlines() if not x.startswith("storage:")]
        assert len(faults) == 2
        assert "is not a trace of axolotl-sftguide" in said
        assert "the trace is incomplete" in said
        assert "good" in ok("runs", "list")

    def test_a_folder_without_traces_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert "no trace (sftguide-trace-*.jsonl)" in faulty(
            "runs", "import", tmp_path / "empty"
        )

    def test_a_trainer_state_comes_in_beside_traces(self, tmp_path: Path) -> None:
        write_trace(tmp_path / "a", "watched")
        log = {"loss": 1.0, "step": 5, "grad_norm": 0.5}
        state = {"global_step": 5, "max_steps": 5, "log_history": [log]}
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "trainer_state.json").write_text(json.dumps(state))
        said = ok("runs", "import", tmp_path)
        assert "watched name-watched: finished, 10 steps" in said
        assert " b: finished, 1 logs, not comparable with other runs" in said


class TestScore:
    def test_scores_are_attached_and_come_back_from_the_trace(
        self, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path / "out", "one")
        ok("runs", "import", tmp_path)
        said = ok("runs", "score", "one", "mmlu=0.61", "a=b=-2", "--goal", "max")
        assert "one name-one: mmlu 0.61" in said
        again = str(tmp_path / "again.db")
        ok("runs", "import", path, "--storage", again)
        scores = {s.metric: s.value for s in RunHistory(again).get("one").scores}
        assert scores == {"m": 0.5, "mmlu": 0.61, "a=b": -2.0}

    def test_a_killed_run_can_be_scored_and_its_trace_stays_readable(
        self, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path / "out", "one", last=7, end=None)
        path.write_bytes(path.read_bytes()[:-30])
        ok("runs", "import", tmp_path)
        ok("runs", "score", "one", "mmlu=0.61", "--goal", "max")
        ok("runs", "score", "one", "gsm8k=0.3", "--goal", "max")
        trace = read_trace(path)
        assert [o.step for o in trace.observations] == list(range(1, 8))
        scores = {e["metric"] for e in trace.events if e["event"] == "score"}
        assert {"mmlu", "gsm8k"} <= scores

    def test_an_lm_eval_file_brings_its_own_directions(self, tmp_path: Path) -> None:
        write_trace(tmp_path / "out", "one")
        ok("runs", "import", tmp_path)
        results = {
            "results": {
                "gsm8k": {"alias": "gsm8k", "exact_match,strict": 0.4},
                "wikitext": {"word_perplexity,none": 9.5, "acc_stderr,none": 0.1},
            },
            "higher_is_better": {"wikitext": {"word_perplexity": False}},
        }
        (tmp_path / "results.json").write_text(json.dumps(results))
        ok("runs", "score", "latest", "--lm-eval", tmp_path / "results.json")
        scores = {s.metric: (s.value, s.goal) for s in RunHistory().get("one").scores}
        assert scores["gsm8k/exact_match"] == (0.4, "max")
        assert scores["wikitext/word_perplexity"] == (9.5, "min")
        assert len(scores) == 3

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["accuracy", "--goal", "max"], "'accuracy' is not METRIC=VALUE"),
            (["=3", "--goal", "max"], "'=3' is not METRIC=VALUE"),
            (["a=x", "--goal", "max"], "'a=x' is not METRIC=VALUE"),
            (["a=1"], "add --goal max (higher is better) or --goal min"),
            ([], "give METRIC=VALUE, or --lm-eval FILE"),
        ],
    )
    def test_a_value_that_is_not_a_score_is_refused(
        self, words: list[str], says: str, tmp_path: Path
    ) -> None:
        write_trace(tmp_path / "out", "one")
        ok("runs", "import", tmp_path)
        assert says in faulty("runs", "score", "one", *words)

    def test_a_file_that_is_not_an_lm_eval_result_is_refused(
        self, tmp_path: Path
    ) -> None:
        write_trace(tmp_path / "out", "one")
        ok("runs", "import", tmp_path)
        for text in ("", "[]", '{"results": {}}'):
            (tmp_path / "r.json").write_text(text)
            said = faulty("runs", "score", "one", "--lm-eval", tmp_path / "r.json")
            assert len(said.splitlines()) == 1


def test_under_another_command_line_stdout_has_the_answer_only(tmp_path: Path) -> None:
    """Axolotl prints its logo before it loads our command."""
    script = tmp_path / "host.py"
    script.write_text(
        "import click\n"
        "from axolotl_sftguide.cli import main\n"
        "@click.group()\n"
        "def host():\n"
        "    print('LOGO')\n"
        "host.add_command(main)\n"
        "host()\n"
    )
    words = [sys.executable, script, *"sftguide recipes list --json".split()]
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, env=buffered
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert done.stderr.strip() == "LOGO"


class TestFaults:
    @pytest.mark.usefixtures("history")
    def test_an_unknown_run(self) -> None:
        said = faulty("runs", "show", "x")
        assert "no run 'x'. `sftguide runs list` lists all runs" in said

    @pytest.mark.usefixtures("history")
    def test_an_unknown_study_is_named_with_those_that_exist(self) -> None:
        said = faulty("runs", "list", "--study", "nope")
        assert said == "Error: no runs in study 'nope'; studies: other, s"

    @pytest.mark.parametrize("words", [["list"], ["show", "x"], ["score", "x", "a=1"]])
    def test_a_storage_that_does_not_exist_is_not_created(
        self, words: list[str], tmp_path: Path
    ) -> None:
        path = tmp_path / "none.db"
        said = faulty(
            "runs", *words, "--storage", path, *(["--goal=max"] * (len(words) > 2))
        )
        assert said == f"Error: {path} does not exist (nothing created)"
        assert not path.exists()

    def test_a_storage_that_cannot_be_opened(self, tmp_path: Path) -> None:
        trace = write_trace(tmp_path / "out")
        said = faulty("runs", "import", trace, "--storage", "/dev/null/x.db")
        assert len(said.splitlines()) == 1
        assert "SFTGUIDE_STORAGE to a writable location" in said

    @pytest.mark.usefixtures("history")
    def test_an_export_to_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        out = tmp_path / "out.csv"
        said = faulty("runs", "export", "--study", "s", "--to", out)
        assert "path that ends in .db" in said
        assert not out.exists()

    def test_an_unknown_recipe(self) -> None:
        assert "did you mean 'quickstart-cpu'" in faulty("recipes", "show", "quick-cpu")

    def test_a_recipe_that_would_be_overwritten(self, tmp_path: Path) -> None:
        ok("recipes", "copy", "quickstart-cpu", tmp_path)
        (tmp_path / "recipes" / "quickstart-cpu.yml").write_text("mine: 1\n")
        said = faulty("recipes", "copy", "quickstart-cpu", tmp_path)
        assert "--force" in said
        ok("recipes", "copy", "quickstart-cpu", tmp_path, "--force")

    def test_an_empty_history_is_no_fault_and_is_not_created(
        self, tmp_path: Path
    ) -> None:
        assert "no runs yet" in ok("runs", "list")
        assert json.loads(ok("runs", "list", "--json")) == []
        assert not list(tmp_path.glob("*.db"))


def test_recipes_are_listed_shown_and_copied(tmp_path: Path) -> None:
    assert "\nquickstart-cpu " in ok("recipes", "list")
    assert "base_model: recipes/quickstart/base" in ok(
        "recipes", "show", "quickstart-cpu"
    )
    said = ok("recipes", "copy", "quickstart-cpu", tmp_path / "new")
    assert f"cd {tmp_path / 'new'} && axolotl train recipes/quickstart-cpu.yml" in said


def test_a_pipe_that_closes_early_leaves_no_traceback(tmp_path: Path) -> None:
    history = RunHistory()
    for i in range(200):
        history.begin(run_row(f"r{i}", output_dir=str(tmp_path)))
        history.progress(f"r{i}", step=steps(1)[0].step)
    done = subprocess.run(
        f"{sys.executable} -m axolotl_sftguide runs list | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.count("\n") == 1


def test_ctrl_c_is_no_negative_answer(tmp_path: Path) -> None:
    """The check waits for a pipe to be written, until it is interrupted."""
    os.mkfifo(tmp_path / "slow.yml")
    process = subprocess.Popen(
        [sys.executable, "-m", "axolotl_sftguide", "check", str(tmp_path / "slow.yml")],
        stderr=subprocess.PIPE,
        text=True,
    )
    writer = os.open(tmp_path / "slow.yml", os.O_WRONLY)  # once the check reads
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == 130
    assert said.split() == ["interrupted"]


def test_the_version_is_printed() -> None:
    from axolotl_sftguide import __version__

    assert ok("--version").strip().endswith(__version__)
    assert ok("-V") == ok("--version")


def test_a_file_that_may_not_be_used_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jsonl").write_text("")
    (tmp_path / "out").write_text("a file where the folder should be")
    (tmp_path / "spec.yml").write_text(
        "phases: [{name: p, datasets: [{path: a.jsonl}]}]\n"
    )
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["mix", "spec.yml", "-o", "out/mixes"])
    assert done.exit_code == 2
    assert "cannot be written (Not a directory)" in done.output
    done = CliRunner().invoke(
        main, ["recipes", "copy", "quickstart-cpu", "--to", "out"]
    )
    assert done.exit_code == 2
    assert "Traceback" not in done.output
