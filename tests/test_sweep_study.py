"""The trials of a sweep, shared by workers that do not know one another."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from runs import run_row

from axolotl_sftguide.errors import StorageError, SweepError
from axolotl_sftguide.runs.history import RunHistory, resolve_storage
from axolotl_sftguide.sweep import Choice, Objective, Range, SearchSpace, SweepStudy
from axolotl_sftguide.sweep._lock import alone
from axolotl_sftguide.sweep.storage import as_storage_error

SPACE = SearchSpace({"rate": Range(low=1e-4, high=1e-1, log=True)}, {})
GRID = SearchSpace({"a": Choice((1, 2, 3)), "b": Choice(("x", "y"))}, {})


@pytest.fixture
def study(storage: str, tmp_path: Path) -> Callable[..., SweepStudy]:
    """Opens the study `s`; each call is a worker of its own."""

    def open_(**overrides: Any) -> SweepStudy:
        given = {
            "space": SPACE,
            "recipe": {"seed": 1},
            "objective": Objective("m", "max"),
            "output_dir": tmp_path / "out",
            "sampler": "random",
            **overrides,
        }
        return SweepStudy(resolve_storage(storage), "s", **given)

    return open_


def test_each_trial_is_claimed_once_by_one_of_many_workers(
    storage: str, tmp_path: Path, study: Callable[..., SweepStudy]
) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    words = [sys.executable, str(script), resolve_storage(storage), str(tmp_path)]
    options = {"stdout": subprocess.PIPE, "text": True}
    environment = {**os.environ, "WORKERS": "4"}
    workers = [subprocess.Popen(words, env=environment, **options) for _ in range(4)]
    claimed = [w.communicate(timeout=300)[0].split() for w in workers]
    assert [w.returncode for w in workers] == [0] * 4
    # Each worker has planned the same 24, and none was entered twice.
    assert sorted(int(n) for own in claimed for n in own) == list(range(24))
    assert sum(bool(own) for own in claimed) > 1
    assert study().counts() == {"COMPLETE": 24}


WORKER = """
import os, sys, time
from pathlib import Path
from axolotl_sftguide.sweep import Objective, Range, SearchSpace, SweepStudy
from axolotl_sftguide.sweep._lock import alone
from axolotl_sftguide.sweep.storage import as_storage_error

space = SearchSpace({"rate": Range(low=1e-4, high=1e-1, log=True)}, {})
study = SweepStudy(
    sys.argv[1], "s", space=space, recipe={"seed": 1}, objective=Objective("m", "max"),
    output_dir=Path(sys.argv[2]) / "out", sampler="random",
)
# All begin together, however long each takes to start.
folder = Path(sys.argv[2])
(folder / f"ready-{os.getpid()}").touch()
while len(list(folder.glob("ready-*"))) < int(os.environ.get("WORKERS", 1)):
    time.sleep(0.01)
study.plan(24)
while (trial := study.claim()) is not None:
    print(trial.number)
    study.finish(trial, trial.values["rate"])
"""


def test_a_grid_has_each_combination_once(study: Callable[..., SweepStudy]) -> None:
    one = study(space=GRID, sampler="grid")
    assert one.plan(None) == 6
    assert study(space=GRID, sampler="grid").plan(None) == 6
    values = []
    while (trial := one.claim()) is not None:
        values.append((trial.values["a"], trial.values["b"]))
        one.finish(trial, 1.0)
    assert sorted(values) == [(a, b) for a in (1, 2, 3) for b in ("x", "y")]


def test_with_a_seed_the_choices_are_the_same_again_and_differ_by_trial(
    storage: str, study: Callable[..., SweepStudy], tmp_path: Path
) -> None:
    def chosen(name: str, sampler: str) -> list[float]:
        worker = SweepStudy(
            resolve_storage(storage),
            name,
            space=SPACE,
            recipe={},
            objective=Objective("m", "min"),
            output_dir=tmp_path / name,
            sampler=sampler,  # type: ignore[arg-type]
            seed=3,
        )
        worker.plan(5)
        found = []
        while (trial := worker.claim()) is not None:
            found.append(trial.values["rate"])
            worker.finish(trial, found[-1])
        return found

    for sampler in ("tpe", "random", "qmc"):
        one = chosen(f"one-{sampler}", sampler)
        assert len(set(one)) == 5
        assert one == chosen(f"two-{sampler}", sampler)


def test_a_failed_trial_does_not_count_and_is_made_up_for(
    study: Callable[..., SweepStudy],
) -> None:
    worker = study()
    assert worker.plan(2) == 2
    worker.finish(worker.claim(), None, why="out of memory")  # type: ignore[arg-type]
    worker.finish(worker.claim(), 0.5)  # type: ignore[arg-type]
    assert worker.claim() is None
    assert worker.plan(2) == 2
    assert worker.claim().number == 2  # type: ignore[union-attr]


def test_a_stopped_trial_counts_and_is_never_the_best(
    study: Callable[..., SweepStudy],
) -> None:
    worker = study()
    worker.plan(3)
    for value in (0.5, None, 0.7):
        trial = worker.claim()
        worker.finish(trial, value, pruned=value is None, why="diverged")  # type: ignore[arg-type]
    assert worker.counts() == {"COMPLETE": 2, "PRUNED": 1}
    name, best, folder = worker.best()  # type: ignore[misc]
    assert (name, best) == ("trial-0002", 0.7)
    assert folder.endswith("trial-0002")
    assert worker.plan(3) == 3
    assert worker.claim() is None


def test_the_best_of_a_loss_is_the_least(study: Callable[..., SweepStudy]) -> None:
    worker = study(objective=Objective("eval_loss", "min"))
    assert worker.best() is None
    worker.plan(2)
    for value in (2.0, 3.0):
        worker.finish(worker.claim(), value)  # type: ignore[arg-type]
    assert worker.best()[:2] == ("trial-0000", 2.0)  # type: ignore[index]


def test_a_trial_that_is_given_back_keeps_its_values_and_its_folder(
    study: Callable[..., SweepStudy],
) -> None:
    worker = study()
    worker.plan(1)
    before = worker.claim()
    assert before is not None
    worker.requeue(before, "interrupted")
    after = worker.claim()
    assert after is not None
    assert after.number == 1
    assert (after.values, after.folder) == (before.values, before.folder)
    worker.finish(after, 1.0)
    assert worker.plan(1) == 1  # the failed one is made up for already
    assert worker.claim() is None


def test_a_folder_of_an_earlier_sweep_is_not_written_into(
    study: Callable[..., SweepStudy], tmp_path: Path
) -> None:
    (tmp_path / "out" / "trial-0000").mkdir(parents=True)
    worker = study()
    worker.plan(1)
    assert worker.claim().folder.name == "trial-0000-2"  # type: ignore[union-attr]


GONE = """
import os, sys
exec(open(sys.argv[3]).read().split("while (trial")[0])
study.claim()
os._exit(1)
"""


def test_what_a_worker_that_is_gone_has_left_is_entered_anew(
    storage: str, tmp_path: Path, study: Callable[..., SweepStudy]
) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    words = [sys.executable, "-c", GONE, resolve_storage(storage), str(tmp_path)]
    subprocess.run([*words, str(tmp_path / "worker.py")], timeout=120)
    worker = study()
    assert worker.counts() == {"RUNNING": 1, "WAITING": 23}
    assert worker.requeue_lost({}) == ["trial-0000"]
    assert worker.counts() == {"FAIL": 1, "WAITING": 24}
    assert worker.requeue_lost({}) == []
    assert worker.plan(24) == 24
    numbers = [worker.claim().number for _ in range(24)]  # type: ignore[union-attr]
    assert numbers[-1] == 24


def test_what_a_living_worker_trains_is_left_to_it(
    study: Callable[..., SweepStudy],
) -> None:
    worker = study()
    worker.plan(1)
    worker.claim()
    assert study().requeue_lost({}) == []


@pytest.mark.parametrize(("silent_s", "taken"), [(60.0, []), (1000.0, ["trial-0000"])])
def test_a_worker_elsewhere_is_gone_when_its_run_has_long_been_silent(
    storage: str,
    study: Callable[..., SweepStudy],
    monkeypatch: pytest.MonkeyPatch,
    silent_s: float,
    taken: list[str],
) -> None:
    worker = study()
    worker.plan(1)
    trial = worker.claim()
    assert trial is not None
    history = RunHistory(storage)
    history.begin(run_row(output_dir=str(trial.folder), study="s"))
    (run,) = history.runs()
    now = time.time()
    monkeypatch.setattr("socket.gethostname", lambda: "another-machine")
    monkeypatch.setattr("time.time", lambda: now + silent_s)
    assert worker.requeue_lost({str(trial.folder): run}) == taken


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"recipe": {"seed": 2}}, "recipe: seed differs"),
        ({"space": GRID}, "space: a, b, rate differ"),
        ({"objective": Objective("n", "max")}, r"objective was \['m'"),
    ],
)
def test_a_study_of_other_trials_is_not_mixed_with(
    study: Callable[..., SweepStudy], other: dict[str, Any], what: str
) -> None:
    worker = study()
    worker.plan(1)
    worker.finish(worker.claim(), 1.0)  # type: ignore[arg-type]
    with pytest.raises(SweepError, match=what):
        study(**other)


def test_a_study_whose_trials_all_failed_may_be_begun_anew(
    study: Callable[..., SweepStudy],
) -> None:
    worker = study()
    worker.plan(1)
    worker.finish(worker.claim(), None, why="a wrong key")  # type: ignore[arg-type]
    assert study(recipe={"seed": 2}).plan(1) == 1


def test_a_study_that_optuna_keeps_for_somebody_else_is_left_alone(
    storage: str, study: Callable[..., SweepStudy]
) -> None:
    theirs = optuna.create_study(
        storage=resolve_storage(storage), study_name="s", direction="maximize"
    )
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(SweepError, match="not created by `sftguide sweep`"):
        study()


def test_another_direction_gets_a_one_line_error(
    study: Callable[..., SweepStudy],
) -> None:
    worker = study()
    worker.plan(1)
    with pytest.raises(SweepError, match="objective was"):
        study(objective=Objective("m", "min"))


def test_a_storage_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is no database, and never was one")
    with pytest.raises(StorageError, match="Optuna cannot open it"):
        SweepStudy(
            f"sqlite:///{tmp_path / 'x.db'}",
            "s",
            space=SPACE,
            recipe={},
            objective=Objective("m", "max"),
            output_dir=tmp_path,
            sampler="random",
        )


def test_an_error_of_this_package_is_no_storage_error() -> None:
    @as_storage_error
    def broken() -> None:
        raise TypeError("planted")

    with pytest.raises(TypeError, match="planted"):
        broken()


def test_the_run_history_and_the_study_live_in_one_database(
    storage: str, study: Callable[..., SweepStudy]
) -> None:
    history = RunHistory(storage)
    worker = study()
    history.begin(run_row())
    worker.plan(1)
    worker.finish(
        worker.claim(),  # type: ignore[arg-type]
        0.5,
        run_id="r1",
        curve={8: 2.0, 16: 1.5},
    )
    (trial,) = optuna.load_study(
        study_name="s", storage=resolve_storage(storage)
    ).trials
    assert trial.intermediate_values == {8: 2.0, 16: 1.5}
    assert trial.user_attrs["sftguide_run"] == history.runs()[0].id


class TestTrainedAndNotValued:
    def leave_one(self, worker: SweepStudy) -> Path:
        """Trains the first trial, whose command then fails; the others wait."""
        worker.plan(None)
        trial = worker.claim()
        assert trial is not None
        worker.finish(trial, None, run_id="r1", unvalued=True, why="not found")
        return trial.folder

    def test_a_corrected_command_takes_over_what_was_trained(
        self, study: Callable[..., SweepStudy]
    ) -> None:
        grid = {"space": GRID, "sampler": "grid"}
        folder = self.leave_one(study(**grid, objective=Objective("m", "max", "old")))
        worker = study(**grid, objective=Objective("m", "max", "new"))
        assert worker.plan(None) == 6
        assert worker.counts() == {"FAIL": 1, "WAITING": 6}
        folders = [worker.claim().folder for _ in range(6)]  # type: ignore[union-attr]
        assert folders.count(folder) == 1

    def test_once_a_trial_has_a_value_the_command_stays(
        self, study: Callable[..., SweepStudy]
    ) -> None:
        worker = study(objective=Objective("m", "max", "old"))
        worker.plan(2)
        worker.finish(worker.claim(), 1.0)  # type: ignore[arg-type]
        with pytest.raises(SweepError, match="trials of another sweep: objective was"):
            study(objective=Objective("m", "max", "new"))

    def test_runs_of_another_recipe_are_not_taken_over(
        self, study: Callable[..., SweepStudy]
    ) -> None:
        worker = study(objective=Objective("m", "max", "old"))
        worker.plan(1)
        trial = worker.claim()
        assert trial is not None
        worker.finish(trial, None, run_id="r1", unvalued=True, why="not found")
        other = study(recipe={"seed": 2}, objective=Objective("m", "max", "old"))
        assert other.plan(1) == 1
        assert other.claim().folder != trial.folder  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "error",
    [
        sa.exc.ProgrammingError("select", {}, Exception("no such column")),
        sa.exc.IntegrityError("insert", {}, Exception("not unique")),
        sa.exc.StatementError("a value", "insert", {}, TypeError("planted")),
    ],
)
def test_a_wrong_statement_is_not_waited_for_as_if_the_storage_were_away(
    error: Exception,
) -> None:
    @as_storage_error
    def broken() -> None:
        raise optuna.exceptions.StorageInternalError("failed") from error

    with pytest.raises(optuna.exceptions.StorageInternalError):
        broken()


def test_a_locked_database_is_an_error_of_the_storage() -> None:
    @as_storage_error
    def locked() -> None:
        raise sa.exc.OperationalError("begin", {}, Exception("database is locked"))

    with pytest.raises(StorageError, match="the sweep's storage: database is locked"):
        locked()


def test_a_missing_driver_of_postgresql_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with (
        pytest.raises(StorageError) as caught,
        alone("postgresql+psycopg://u:secret@127.0.0.1:1/d"),
    ):
        pass
    assert str(caught.value) == (
        "postgresql+psycopg://u:***@127.0.0.1:1/d: the driver psycopg is not "
        "installed; pip install 'axolotl-sftguide[postgresql]'"
    )
