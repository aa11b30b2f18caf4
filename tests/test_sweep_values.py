"""Trials whose trainings have ended already: how a sweep values and records them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from runs import run_row, write_trace

from axolotl_sftguide.errors import SweepError
from axolotl_sftguide.runs.history import RunHistory, resolve_storage
from axolotl_sftguide.runs.traces import find_traces
from axolotl_sftguide.sweep import Choice, Objective, SearchSpace, Sweep, SweepStudy

SPACE = SearchSpace({"seed": Choice((1, 2, 3))}, {})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return resolve_storage(str(tmp_path / "runs.db"))


@pytest.fixture
def sweep(url: str, tmp_path: Path) -> Callable[..., Sweep]:
    """A sweep whose trials are trained by hand, so that no training has to start."""

    def make(objective: Objective, end: str = "finished") -> Sweep:
        study = SweepStudy(
            url,
            "s",
            space=SPACE,
            recipe={},
            objective=objective,
            output_dir=tmp_path / "out",
            sampler="grid",
        )
        study.plan(None)
        claimed = [study.claim() for _ in range(study.counts().get("WAITING", 0))]
        for trial in claimed:
            assert trial is not None
            if not find_traces(trial.folder):
                write_trace(trial.folder, trial.name, end=end, study="s")
            study.requeue(trial, "trained by hand")
        return Sweep(study, recipe={}, space=SPACE, storage=url)

    return make


def states(url: str) -> list[str]:
    trials = optuna.load_study(study_name="s", storage=url).trials
    again = {trial.user_attrs.get("again") for trial in trials}
    return [trial.state.name for trial in trials if trial.number not in again]


def test_a_stopped_run_whose_end_the_history_missed_is_pruned_and_terminated(
    sweep: Callable[..., Sweep], url: str
) -> None:
    work = sweep(Objective("m", "max"), end="terminated")
    RunHistory(url).begin(run_row("trial-0000", study="s", process_started_at=0.0))
    work.run()
    assert states(url) == ["PRUNED"] * 3
    assert [r.status for r in RunHistory(url).runs(study="s")] == ["terminated"] * 3


def test_a_metric_that_no_run_recorded_is_corrected_without_training(
    sweep: Callable[..., Sweep], url: str
) -> None:
    with pytest.raises(SweepError, match=r"its metric fails: .* no 'n'.*--metric"):
        sweep(Objective("n", "max")).run()
    assert "COMPLETE" not in states(url)
    sweep(Objective("m", "max")).run()
    assert states(url) == ["COMPLETE"] * 3
    assert [r.status for r in RunHistory(url).runs(study="s")] == ["finished"] * 3


@pytest.mark.parametrize("status", [2, 126, 127])
def test_the_first_command_that_is_called_wrongly_or_not_found_ends_the_sweep(
    sweep: Callable[..., Sweep], url: str, status: int
) -> None:
    words = f"{sys.executable} -c 'import sys; sys.exit({status})'"
    with pytest.raises(SweepError, match=f"exit status {status}.*Correct --command"):
        sweep(Objective("m", "max", words)).run()
    assert sorted(states(url)) == ["FAIL", "WAITING", "WAITING"]
    sweep(Objective("m", "max", "echo 5")).run()
    assert states(url) == ["COMPLETE"] * 3


def test_an_internal_error_is_raised_at_once_with_its_own_name(
    sweep: Callable[..., Sweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = sweep(Objective("m", "max"))
    calls: list[Any] = []

    def planted(*_: Any) -> Any:
        calls.append(None)
        raise TypeError("planted")

    monkeypatch.setattr(work.study, "_trials", planted)
    with pytest.raises(TypeError, match="planted"):
        work.run()
    assert len(calls) == 1


def test_a_database_path_with_a_question_mark_holds_runs_and_trials(
    tmp_path: Path,
) -> None:
    path = tmp_path / "what?is#this.db"
    url = resolve_storage(str(path))
    if url == str(path):
        pytest.skip("SQLAlchemy 2.0 cannot write such a path as a URL")
    history = RunHistory(url)
    history.begin(run_row("trial-0000", study="s"))
    study = SweepStudy(
        url,
        "s",
        space=SPACE,
        recipe={},
        objective=Objective("m", "max"),
        output_dir=tmp_path / "out",
        sampler="grid",
    )
    assert study.plan(None) == 3
    assert [run.id for run in RunHistory(history.url).runs()] == ["trial-0000"]
    assert path.is_file()
    assert not (tmp_path / "what").exists()
