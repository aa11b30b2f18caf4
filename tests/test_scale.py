"""What is read, kept and called as runs, steps and trials become many.

Counted, not timed: a count that grows faster than its subject is a fault anywhere.
"""

from __future__ import annotations

import gc
import json
import math
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from runs import run_row, steps, write_trace

from axolotl_sftguide import safe_text
from axolotl_sftguide.cli import main
from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.monitor.recorder import new_run_id
from axolotl_sftguide.runs.following import AppendedRecords
from axolotl_sftguide.runs.history import Run, RunHistory, _read, _tables
from axolotl_sftguide.runs.traces import TraceWriter, read_trace, traces_run
from axolotl_sftguide.signals import LogWindow, Observation
from axolotl_sftguide.signals.comparability import Candidate
from axolotl_sftguide.stopping import baselines as module
from axolotl_sftguide.stopping.baselines import baselines

RUNS = 60


def fill(history: RunHistory, runs: int, **more: Any) -> None:
    """Finished runs of one study; the oldest one is the best."""
    engine = history._database._engine
    rows, scores, points = [], [], []
    for i in range(runs):
        row = run_row(f"r{i:05d}", started_at=float(i), study="s", key="k")
        row |= {"heartbeat_at": float(i), "step": 100, "samples_seen": 800}
        row |= {"status": "finished", "config": {"learning_rate": i / 1000}, **more}
        row |= {"ended_at": i + 0.5}
        rows.append(row)
        scores.append({"run_id": row["id"], "metric": "m", "value": 1.0 - i / runs})
        points += [
            {"run_id": row["id"], "samples_seen": 8 * j, "loss": 2 - j / 9}
            for j in (1, 2, 3)
        ]
    with engine.begin() as connection:
        connection.execute(sa.insert(_tables.runs), rows)
        shared = {"goal": "max", "recorded_at": 1.0}
        connection.execute(sa.insert(_tables.scores), [{**s, **shared} for s in scores])
        norms = [{**p, "grad_norm": 1.0} for p in points]
        connection.execute(sa.insert(_tables.points), norms)


@pytest.fixture
def history() -> RunHistory:
    made = RunHistory()
    fill(made, RUNS)
    return made


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that are read from a history, with their configs where they were."""
    found: list[Run] = []

    def note(**values: Any) -> Run:
        found.append(Run(**values))
        return found[-1]

    monkeypatch.setattr(_read, "Run", note)
    return found


@pytest.fixture
def statements() -> Iterator[list[int]]:
    """For each statement on any database, the number of its parameters."""
    found: list[int] = []

    def note(_: Any, __: Any, ___: Any, parameters: Any, ____: Any, many: bool) -> None:
        found.append(1 if many else len(parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def said(*words: str) -> str:
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


class TestHistory:
    def test_runs_list_reads_only_the_runs_that_it_lists(
        self, history: RunHistory, read: list[Run]
    ) -> None:
        text = said("runs", "list", "--limit", "7")
        assert f"7 newest of {RUNS} runs" in text
        assert [run.id for run in read] == [f"r{i:05d}" for i in range(53, 60)]

    def test_a_sorted_list_reads_the_configs_of_the_runs_that_it_lists(
        self, history: RunHistory, read: list[Run]
    ) -> None:
        text = said("runs", "list", "--sort", "score", "--limit", "7")
        assert f"7 first of {RUNS} runs" in text
        assert sum(bool(run.config) for run in read) == 7
        assert text.index("r00000") < text.index("r00006")

    def test_a_list_sorted_by_a_key_of_the_configs_is_the_same_as_before(
        self, history: RunHistory
    ) -> None:
        text = said("runs", "list", "--sort", "learning_rate", "--limit", "3")
        assert "r00000" in text
        assert "r00003" not in text

    def test_a_csv_searches_the_environment_for_secrets_no_more_for_more_runs(
        self, history: RunHistory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        searches: list[int] = []

        def search() -> tuple[str, ...]:
            searches.append(1)
            return ()

        monkeypatch.setattr(safe_text, "_of_environment", search)
        assert len(said("runs", "list", "--csv", "--limit", "3").splitlines()) == 4
        few = len(searches)
        assert len(said("runs", "list", "--csv").splitlines()) == RUNS + 1
        assert len(searches) == 2 * few

    def test_the_shared_metric_is_looked_up_once_to_sort(
        self, history: RunHistory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from axolotl_sftguide.runs import history as home

        calls = []
        real = home.metric_of
        spy = lambda *given: calls.append(1) or real(*given)  # noqa: E731
        monkeypatch.setattr(home, "metric_of", spy)
        said("runs", "list", "--sort", "score")
        assert len(calls) == 1

    @pytest.mark.parametrize("name", ["r00031", "name-r00031", "r0003", "latest"])
    def test_one_run_is_found_without_reading_the_others(
        self, history: RunHistory, read: list[Run], name: str
    ) -> None:
        if name == "r0003":
            for i in range(30, 40):
                if i != 31:
                    history.delete(f"r{i:05d}")
        found = history.get(name)
        assert found.id == ("r00059" if name == "latest" else "r00031")
        assert [run.id for run in read] == [found.id]

    def test_an_import_reads_one_run_however_many_there_are(
        self, history: RunHistory, read: list[Run], tmp_path: Path
    ) -> None:
        history.import_trace(read_trace(write_trace(tmp_path, "new")))
        assert [run.id for run in read] == ["new"]

    def test_completion_and_plan_read_no_config(
        self, history: RunHistory, read: list[Run]
    ) -> None:
        names = said_by_completion("sftguide runs show name-r0003")
        assert len(names) == 10
        assert not read
        recipe = str(Path(__file__).parent.parent / "recipes" / "8b-stacked-qlora.yml")
        CliRunner().invoke(main, ["plan", recipe])
        assert len(read) == RUNS
        assert not any(run.config for run in read)

    def test_no_statement_has_a_parameter_for_each_run(
        self, statements: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SQLite takes 32,766 of them, and PostgreSQL 65,535."""
        history = RunHistory()
        fill(history, 1300)
        del statements[:]
        monkeypatch.setattr(module, "MOST_IN_COHORT", 50)
        baselines(Candidate("s", "k"), history, EarlyTerminationSettings(action="stop"))
        history.runs()
        history.runs(study="s", newest=1200)
        assert max(statements) <= _read.MOST_IN_A_QUERY + 10


def said_by_completion(line: str) -> list[str]:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    env = {"_SFTGUIDE_COMPLETE": "bash_complete", **words}
    done = CliRunner().invoke(main, [], env=env, prog_name="sftguide")
    return done.output.splitlines()


class TestStartOfARun:
    def test_reads_the_newest_runs_and_compares_with_the_best_of_all(
        self, history: RunHistory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []
        monkeypatch.setattr(module, "MOST_IN_COHORT", 20)
        monkeypatch.setattr(module, "MOST_FORECASTING", 10)
        real = history.settings
        spy = lambda ids: asked.append(len(ids)) or real(ids)  # noqa: E731
        monkeypatch.setattr(history, "settings", spy)
        settings = EarlyTerminationSettings(action="stop")
        found = baselines(Candidate("s", "k"), history, settings)
        assert found.reference is not None
        assert found.reference.run_id == "r00000"
        assert found.cohort is not None
        assert {point.peers for point in found.cohort.points} == {20}
        assert found.forecast is not None
        names = [run.id for run in found.forecast.runs]
        assert names == [f"r{i:05d}" for i in range(50, 60)]
        assert sorted(asked) == [10, 20]

    def test_a_thousand_runs_that_start_in_one_second_have_ids_of_their_own(
        self,
    ) -> None:
        assert len({new_run_id() for _ in range(1000)}) == 1000


class TestSteps:
    def test_a_window_that_is_never_logged_keeps_the_same_few_numbers(self) -> None:
        window, norms = LogWindow(), []
        for i in range(1, 20_001):
            norm = math.nan if i % 97 == 0 else 10 ** math.sin(i)
            norms.append(norm)
            window.add([Observation(i, i, 1.0, norm, 1e-4)])
        assert len(window._sum) < 10
        finite = [norm for norm in norms if math.isfinite(norm)]
        logs = window.logs()
        assert logs["sftguide/grad_norm_mean"] == math.fsum(finite) / len(finite)
        assert logs["sftguide/grad_norm_max"] == max(finite)
        assert logs["sftguide/nonfinite_steps"] == len(norms) - len(finite)

    def test_whether_a_file_is_the_trace_of_a_run_is_read_from_its_first_line(
        self, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path, last=5000)
        traces_run(path, "r1")  # imports what it needs
        assert peak_bytes(lambda: traces_run(path, "r1")) < path.stat().st_size / 4

    def test_a_trace_is_not_held_in_memory_beside_its_steps(
        self, tmp_path: Path
    ) -> None:
        path = write_trace(tmp_path, last=5000)
        kept = read_trace(path)
        gc.collect()
        size = path.stat().st_size
        whole = peak_bytes(lambda: read_trace(path))
        own = peak_bytes(lambda: [copy_of(o) for o in kept.observations])
        assert whole < own + size / 2

    def test_a_trace_that_is_followed_is_read_once(self, tmp_path: Path) -> None:
        path = write_trace(tmp_path, last=10, end=None)
        records = AppendedRecords(path)
        assert len(list(records.read())) == 12
        assert list(records.read()) == []
        writer = TraceWriter(path)
        writer.steps(steps(12, first=11))
        writer.close()
        found = list(records.read())
        assert [record and record["step"] for record in found] == [11, 12]
        assert records.files == 1


def copy_of(one: Observation) -> Observation:
    """A step whose numbers are objects of its own, as those of a trace are."""
    numbers = one.loss + 0.5, one.grad_norm + 0.5, one.learning_rate + 0.5
    return Observation(one.step + 1000, one.samples_seen + 1000, *numbers)


def peak_bytes(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        kept = call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        del kept
        tracemalloc.stop()


def test_a_report_on_some_runs_predicts_them_from_the_runs_before_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from axolotl_sftguide.report import _prediction

    history = RunHistory()
    fields = {"base_model": "b", "data": {"digest": "d", "rows": 9}}
    fill(history, RUNS, key_fields=fields)
    monkeypatch.setattr(_prediction, "_MOST_RUNS", 5)
    every = history.runs(with_config=False)
    needed = _prediction.taking_part(every, "m", {"r00050", "r00052"})
    assert needed == [f"r{i:05d}" for i in range(40, 60)]
    looked = []
    real = _prediction._looks
    spy = lambda one, earlier: looked.append(len(earlier)) or real(one, earlier)  # noqa: E731
    monkeypatch.setattr(_prediction, "_looks", spy)
    points = {run.id: history.points(run.id) for run in every}
    _prediction.predictions(history.runs(), "m", points)
    assert looked == [0, 1, 2, 3, 4] + [5] * (RUNS - 5)


def test_the_tables_of_the_page_are_those_of_the_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`python benchmarks/scale.py --page` writes them."""
    from axolotl_sftguide.evidence.page import page_with_parts

    project = Path(__file__).parent.parent
    monkeypatch.syspath_prepend(str(project / "benchmarks"))
    from scaling.page import tables

    found = json.loads((project / "benchmarks" / "results" / "scale.json").read_text())
    page = (project / "docs" / "scale.md").read_text()
    assert page_with_parts(page, tables(found)) == page
    assert set(found) - {"about"} == {"runs", "steps", "rows", "workers"}
