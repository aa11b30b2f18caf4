"""A study of the run history, written as an Optuna study."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner
from runs import run_row

from axolotl_sftguide.cli import main
from axolotl_sftguide.config.differences import varied_keys
from axolotl_sftguide.errors import SweepError
from axolotl_sftguide.runs.history import Goal, RunHistory, Score, resolve_storage
from axolotl_sftguide.signals import Point
from axolotl_sftguide.sweep.export import export_to_optuna


@pytest.fixture
def history(storage: str) -> RunHistory:
    return RunHistory(storage)


@pytest.fixture
def url(storage: str) -> str:
    """The same database: their tables do not meet."""
    return resolve_storage(storage)


def enter(
    history: RunHistory,
    run_id: str,
    value: float | None = None,
    status: Any = "finished",
    goal: Goal = "max",
    points: int = 3,
    **config: Any,
) -> None:
    history.begin(run_row(run_id, config={"seed": 1, **config}))
    if value is not None:
        history.add_score(run_id, Score("m", value, goal))
    curve = [Point(16 * i, 3.0 - i / points, 1.0) for i in range(1, points + 1)]
    history.add_points(run_id, curve)
    history.progress(run_id, step=40)
    if status != "running":
        history.end(run_id, status, "divergence: high" if status != "finished" else "")


def load(url: str, name: str = "s") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=url)


def test_runs_become_trials_with_what_they_differ_in(
    history: RunHistory, url: str
) -> None:
    enter(history, "a", 0.5, learning_rate=1e-4, lora_r=8, optimizer="adamw_torch")
    enter(history, "b", 0.7, learning_rate=1e-2, lora_r=16, optimizer="lion")
    enter(history, "c", None, "terminated", learning_rate=1.0, lora_r=8, optimizer="x")
    enter(history, "d", None, "failed", learning_rate=1.0, lora_r=8, optimizer="x")
    enter(history, "e", None, "running", learning_rate=9.0, lora_r=9, optimizer="y")
    assert export_to_optuna(history, "s", url) == ("s", 4)
    study = load(url)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL"]
    assert study.best_trial.params == {
        "learning_rate": 1e-2,
        "lora_r": 16,
        "optimizer": "lion",
    }
    assert study.best_trial.distributions["learning_rate"].log
    assert study.best_trial.intermediate_values == {
        16: pytest.approx(3 - 1 / 3),
        32: pytest.approx(3 - 2 / 3),
        48: 2.0,
    }
    stopped = study.trials[2].user_attrs
    assert (stopped["sftguide_run"], stopped["steps_saved"]) == ("c", 60)
    assert stopped["why"] == "divergence: high"
    assert study.metric_names == ["m"]
    assert study.trials[0].duration is not None


def test_a_long_curve_has_64_points_and_its_last(history: RunHistory, url: str) -> None:
    enter(history, "a", 0.5, points=1000)
    export_to_optuna(history, "s", url)
    (trial,) = load(url).trials
    assert len(trial.intermediate_values) == 64
    assert max(trial.intermediate_values) == 16_000


def test_written_again_only_what_is_new_is_added(history: RunHistory, url: str) -> None:
    enter(history, "a", 0.5, seed=1)
    export_to_optuna(history, "s", url)
    enter(history, "b", 0.6, seed=2)
    assert export_to_optuna(history, "s", url) == ("s", 1)
    assert [t.user_attrs["sftguide_run"] for t in load(url).trials] == ["a", "b"]


def test_a_new_category_and_another_kind_of_value_are_written_too(
    history: RunHistory, url: str
) -> None:
    enter(history, "a", 0.5, optimizer="adamw_torch", lora_r=8)
    enter(history, "b", 0.7, optimizer="lion", lora_r=16)
    assert export_to_optuna(history, "s", url) == ("s", 2)
    enter(history, "c", 0.9, optimizer="muon", lora_r="auto")
    assert export_to_optuna(history, "s", url) == ("s", 3)
    trials = load(url).trials
    assert [t.params["optimizer"] for t in trials] == ["adamw_torch", "lion", "muon"]
    assert [t.params["lora_r"] for t in trials] == [8, 16, "auto"]
    assert export_to_optuna(history, "s", url) == ("s", 0)


def test_a_loss_is_minimised(history: RunHistory, url: str) -> None:
    enter(history, "a", 2.0, goal="min", seed=1)
    enter(history, "b", 1.0, goal="min", seed=2)
    export_to_optuna(history, "s", url)
    assert load(url).best_trial.user_attrs["sftguide_run"] == "b"


def test_somebody_elses_study_is_left_alone(history: RunHistory, url: str) -> None:
    enter(history, "a", 0.5)
    theirs = optuna.create_study(storage=url, study_name="s", direction="maximize")
    theirs.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(SweepError, match="contains trials that were not exported"):
        export_to_optuna(history, "s", url)
    assert len(load(url).trials) == 1
    assert export_to_optuna(history, "s", url, "mine") == ("mine", 1)


def test_a_study_with_nothing_to_write_is_reported(
    history: RunHistory, url: str
) -> None:
    with pytest.raises(SweepError, match="study 's' has no ended run"):
        export_to_optuna(history, "s", url)


def test_what_configs_differ_in_reaches_into_blocks() -> None:
    one = {"a": {"b": 1, "c": [1, 2]}, "output_dir": "x", "same": 0}
    two = {"a": {"b": 2, "c": [1, 2]}, "output_dir": "y", "same": 0, "new": None}
    assert varied_keys([one, two]) == ["a.b"]
    assert varied_keys([one, {**two, "new": True}]) == ["a.b", "new"]


def test_the_command_prints_how_many_runs_it_wrote(
    history: RunHistory, url: str, storage: str, tmp_path: Path
) -> None:
    enter(history, "a", 0.5)
    target = str(tmp_path / "optuna.db")
    words = ["runs", "export", "--study", "s", "--to", target, "--storage", storage]
    with warnings.catch_warnings():
        warnings.simplefilter("error", optuna.exceptions.ExperimentalWarning)
        done: Any = CliRunner().invoke(main, words)
    assert done.output.startswith("1 runs exported to the Optuna study 's'")
    again: Any = CliRunner().invoke(main, words)
    assert "0 runs exported to the Optuna study 's'; all were there" in again.output
    assert len(load(resolve_storage(target)).trials) == 1


def test_without_optuna_the_command_names_the_extra_to_install(
    history: RunHistory, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    words = ["runs", "export", "--study", "s", "--to", "x.db", "--storage", storage]
    done: Any = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "pip install 'axolotl-sftguide[sweep]'" in done.output
