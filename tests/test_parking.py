"""Trials that are parked, and what becomes of them at the end of a sweep."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from parked import PARKED_AT, RULE, SPACE, STEPS, ParkedSweep, losses, with_disk

from axolotl_sftguide.cli import main
from axolotl_sftguide.cli.sweep_display import SweepDisplay
from axolotl_sftguide.config.rule_settings import (
    EarlyTerminationSettings,
    PredictionSettings,
)
from axolotl_sftguide.config.settings import load_settings
from axolotl_sftguide.errors import SettingsError
from axolotl_sftguide.monitor.endings import standing
from axolotl_sftguide.runs.checkpoints import (
    Note,
    begin_checkpoint,
    last_whole_checkpoint,
    remove_parked,
)
from axolotl_sftguide.runs.traces import find_traces, read_trace
from axolotl_sftguide.signals import Curve
from axolotl_sftguide.signals.forecast import Forecast, Outlook, earlier_run
from axolotl_sftguide.stopping.backtest import backtest
from axolotl_sftguide.stopping.baselines import Baselines, RecordedRun
from axolotl_sftguide.stopping.judge import actions_of, describe, judge_of
from axolotl_sftguide.stopping.parking import limits_of, prospect_of
from axolotl_sftguide.stopping.parking_replay import ParkingPolicy
from axolotl_sftguide.sweep import Ended, Sweep
from axolotl_sftguide.sweep._parked import ParkedTrials

STOP = EarlyTerminationSettings(action="stop", prediction=RULE)

OUTLOOK = Outlook(
    share=0.25,
    score=0.4,
    low=0.3,
    high=0.5,
    chance=0.01,
    best=0.7,
    runs=8,
    settings=8,
    lower_is_better=True,
    rank=0.9,
    loss=2.0,
)


@pytest.fixture
def sweep(storage: str, tmp_path: Path) -> Callable[..., ParkedSweep]:
    """Twelve planned trials, of which four are finished, the best with 2.4."""

    def make(rule: PredictionSettings = RULE) -> ParkedSweep:
        made = ParkedSweep(storage, tmp_path, rule)
        made.study.plan(12)
        for floor in (0.6, 1.0, 1.5, 2.0):
            made.finish(floor)
        return made

    return make


class TestWhoIsResumed:
    def test_a_run_with_a_chance(self) -> None:
        found = prospect_of(replace(OUTLOOK, chance=0.05), [], RULE)
        assert found.resumes
        assert found.reason == (
            "by 8 finished runs, its chance to beat the best of them is 5%"
        )

    def test_not_a_run_without_one_whose_loss_is_among_the_worst(self) -> None:
        found = prospect_of(OUTLOOK, [2.5], RULE)
        assert not found.resumes
        assert found.reason == (
            "by 8 finished runs, its chance to beat the best of them is 1%; 80% of 9 "
            "finished or parked runs have a lower loss"
        )

    def test_a_run_without_one_whose_loss_is_not_among_the_worst(self) -> None:
        assert prospect_of(replace(OUTLOOK, rank=0.6), [], RULE).resumes
        # Two thirds have a lower loss, so that it is in the worst third.
        assert not prospect_of(replace(OUTLOOK, rank=4 / 6), [], RULE).resumes
        # Not one of the worst third any more, with four others that are worse.
        assert prospect_of(OUTLOOK, [2.5, 2.5, 2.5, 2.5], RULE).resumes

    def test_by_ten_finished_runs_half_of_them_may_be_left(self) -> None:
        middle = replace(OUTLOOK, rank=0.6)
        assert prospect_of(replace(middle, runs=9), [], RULE).resumes
        assert not prospect_of(replace(middle, runs=10), [], RULE).resumes

    def test_a_run_of_which_the_finished_ones_say_nothing(self) -> None:
        assert prospect_of(None, [], RULE).resumes
        found = prospect_of(replace(OUTLOOK, lower_is_better=False), [], RULE)
        assert (found.resumes, found.chance) == (True, 1.0)


def test_a_run_is_parked_at_the_first_look_and_stopped_only_by_the_rules_limits() -> (
    None
):
    assert limits_of(RULE, "first") == (0.5, 1.0, 1)
    assert limits_of(RULE, "resumed") == (0.05, 1.0, 1)
    assert limits_of(RULE, None) == (0.05, RULE.worst, 2)
    never = PredictionSettings()
    assert limits_of(never, "first") == limits_of(never, None)


def test_only_what_the_rule_would_stop_is_parked() -> None:
    assert actions_of(STOP, parking="first")["prediction"] == "park"
    assert "parks on prediction" in describe(STOP, parking="first")
    assert actions_of(STOP)["prediction"] == "stop"
    warns = STOP.model_copy(update={"action": "warn"})
    assert actions_of(warns, parking="first")["prediction"] == "warn"
    no_parking = EarlyTerminationSettings(action="stop")
    assert actions_of(no_parking, parking="first")["prediction"] == "stop"


def test_a_resumed_run_may_be_parked_at_a_later_look_and_not_at_once() -> None:
    earlier = tuple(
        earlier_run(str(i), 3 - floor, Curve.of(str(i), losses(floor, i)).points)
        for i, floor in enumerate((0.6, 1.0, 1.5, 2.0))
    )
    compared = Baselines(forecast=Forecast(earlier))
    judge = judge_of(STOP, compared, max_steps=STEPS, parking="resumed")
    observations = losses(2.4, 9)
    state, found = judge.step(judge.init(), observations[:PARKED_AT])
    assert [finding.action for finding in found] == ["park"]
    assert standing(judge, state, found, []) == ()
    state, found = judge.step(state.resumed(), observations[PARKED_AT:])
    assert [(f.action, f.verdict.step) for f in found] == [("park", 96)]


def test_a_trial_is_not_parked_later_than_it_would_be_given_up() -> None:
    wrong = {"prediction": {"chance": 0.2, "parking": {"chance": 0.1}}}
    with pytest.raises(SettingsError, match=r"write at least parking.chance: 0.2"):
        load_settings({"early_termination": wrong})


@pytest.mark.parametrize(
    ("written", "size"),
    [("20GiB", 20 * 2**30), ("500 MB", 500_000_000), (2, 2 * 2**30)],
)
def test_the_budget_is_a_size(written: Any, size: int) -> None:
    parking = {"prediction": {"parking": {"disk": written}}}
    found = load_settings({"early_termination": parking}).early_termination
    assert found.prediction.parking is not None
    assert found.prediction.parking.disk == size


@pytest.mark.parametrize("written", ["much", "0GiB", -1, True, "9" * 400])
def test_what_is_no_size_gets_one_line_with_its_key(written: Any) -> None:
    parking = {"prediction": {"parking": {"disk": written}}}
    with pytest.raises(SettingsError) as caught:
        load_settings({"early_termination": parking})
    (problem,) = caught.value.problems
    assert str(problem).startswith(
        "sftguide.early_termination.prediction.parking.disk: must be "
    )


def test_the_most_promising_is_resumed_first_and_the_hopeless_never(
    sweep: Callable[..., ParkedSweep],
) -> None:
    made = sweep()
    hopeless = made.park(2.4)
    middling, good = made.park(0.8), made.park(0.62)
    assert made.study.counts() == {"COMPLETE": 4, "PARKED": 3, "WAITING": 5}
    # The curve of each finished run is read once, however many are parked.
    assert sorted(made.parking._finished) == sorted(
        run.id for run in made.history.runs() if run.status == "finished"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made.history, "points", lambda run_id: pytest.fail(run_id))
        first = made.parking.next()
    assert first is not None
    assert (first.name, first.resumed_at) == (good.name, PARKED_AT)
    assert first.values == good.values
    name, line = made.notes[-1]
    assert (name, made.parked) == (good.name, [hopeless.name, middling.name])
    assert line.startswith(f"resumed at step {PARKED_AT}: by 4 finished runs, its ")
    made.finish(0.62, first)
    second = made.parking.next()
    assert second is not None
    assert second.name == middling.name
    # The other one waits while a trial may still alter what is said of it.
    assert made.parking.next() is None
    assert (made.parked, made.dropped) == ([hopeless.name], [])
    made.finish(0.8, second)
    assert made.parking.next() is None
    (dropped,) = made.dropped
    assert dropped.trial.name == hopeless.name
    assert dropped.why is not None
    assert dropped.why.startswith("prediction: parked before, and not resumed: by 6 ")
    assert not (hopeless.folder / f"checkpoint-{PARKED_AT}").exists()
    assert made.study.counts() == {"COMPLETE": 6, "PRUNED": 1, "WAITING": 5}


def test_a_parked_run_that_is_resumed_is_one_run_with_one_trace(
    sweep: Callable[..., ParkedSweep],
) -> None:
    made = sweep()
    made.park(0.62)
    parked = made.history.get("run-4")
    assert (parked.status, parked.shown_status) == ("parked", "parked")
    assert parked.steps_saved == STEPS - PARKED_AT
    trial = made.parking.next()
    assert trial is not None
    made.parking.explain(trial)
    made.parking.explain(trial)  # as after an interruption
    made.finish(0.62, trial)
    (path,) = find_traces(trial.folder)
    trace = read_trace(path)
    assert trace.observations == tuple(losses(0.62, trial.number))
    kinds = [e.get("action", e["event"]) for e in trace.events]
    assert kinds == ["park", "end", "resume", "resume", "score", "end"]
    finished = made.history.get("run-4")
    assert [d.action for d in finished.decisions] == ["park", "resume"]
    assert finished.decisions[1].reason.startswith("by 4 finished runs, its chance ")
    assert (finished.status, finished.steps_saved) == ("finished", 0)
    # The history can be rebuilt from the trace.
    assert made.history.import_trace(trace) == finished


def test_runs_shows_a_parked_run_why_it_was_parked_and_what_it_saved(
    sweep: Callable[..., ParkedSweep], capsys: pytest.CaptureFixture[str]
) -> None:
    made = sweep()
    trial = made.park(0.62)
    said = sftguide("runs", "show", trial.name, "--storage", made.storage)
    first, *_ = said.splitlines()
    assert first.startswith(f"{trial.name} parked at step {PARKED_AT} of {STEPS} ")
    assert first.endswith(f"{STEPS - PARKED_AT} saved so far (75%)")
    assert "rule prediction: weak" in said
    assert str(trial.folder / f"checkpoint-{PARKED_AT}") in said
    said = sftguide("runs", "list", "--storage", made.storage)
    (line,) = [line for line in said.splitlines() if trial.name in line]
    assert "parked" in line
    assert "240 (75%)" in line
    run = made.history.get("run-4")
    with SweepDisplay(made.study) as display:
        display.ended(Ended(trial, run, None, run.reason, False))
    assert capsys.readouterr().out.startswith(
        f"{trial.name} parked at step {PARKED_AT} of {STEPS} by prediction: weak"
    )


def sftguide(*words: str) -> str:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return done.output


def test_beyond_the_budget_the_least_promising_is_stopped_for_good(
    sweep: Callable[..., ParkedSweep],
) -> None:
    made = sweep(with_disk("10KiB"))
    good, bad = made.park(0.62, kib=4), made.park(2.4, kib=4)
    assert made.parked == [good.name, bad.name]
    fair = made.park(0.8, kib=4)
    assert made.parked == [good.name, fair.name]
    (dropped,) = made.dropped
    assert (dropped.trial.name, dropped.run.status) == (bad.name, "terminated")  # type: ignore[union-attr]
    assert "more than prediction.parking.disk (0.01 MiB)" in str(dropped.why)
    assert made.study.counts()["PRUNED"] == 1
    assert not list(bad.folder.glob("checkpoint-*"))


def test_a_checkpoint_larger_than_the_budget_is_not_parked(
    sweep: Callable[..., ParkedSweep],
) -> None:
    made = sweep()
    small = made.park(0.62)
    assert made.parking.too_large(small) is None
    made.rule = with_disk("512B")
    assert "more than prediction.parking.disk" in str(made.parking.too_large(small))


def test_a_parked_trial_whose_checkpoint_is_gone_is_stopped_for_good(
    sweep: Callable[..., ParkedSweep],
) -> None:
    made = sweep()
    trial = made.park(0.62)
    (trial.folder / f"checkpoint-{PARKED_AT}" / "trainer_state.json").unlink()
    assert made.parking.next() is None
    assert "its checkpoint is gone" in str(made.dropped[0].why)


def test_a_resumed_trial_that_fails_leaves_no_checkpoint(
    sweep: Callable[..., ParkedSweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sweep()
    made.park(0.62)
    trial = made.parking.next()
    assert trial is not None
    assert list(trial.folder.glob("checkpoint-*"))
    ended: list[Ended] = []
    work = Sweep(
        made.study, recipe={}, space=SPACE, storage=made.storage, on_end=ended.append
    )
    monkeypatch.setattr(
        "axolotl_sftguide.sweep._training.start_axolotl",
        lambda *_, **__: psutil.Popen([sys.executable, "-c", "raise SystemExit(3)"]),
    )
    work._conduct(trial, "")
    assert "the training ended with status 3" in str(ended[0].why)
    assert made.study.counts()["FAIL"] == 1
    assert not list(trial.folder.glob("checkpoint-*"))


def test_a_drop_that_was_killed_halfway_is_completed_by_the_next_worker(
    sweep: Callable[..., ParkedSweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sweep()
    trial = made.park(2.4)
    with monkeypatch.context() as broken:
        broken.setattr(made.study, "finish", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            made.parking.next()
    assert made.parked == [trial.name]
    assert made.worker().next() is None
    assert made.study.counts()["PRUNED"] == 1
    (path,) = find_traces(trial.folder)
    kinds = [e.get("action", e["event"]) for e in read_trace(path).events]
    assert kinds == ["park", "end", "stop", "end"]


def test_a_kill_while_a_checkpoint_is_saved_leaves_none_that_nobody_removes(
    tmp_path: Path,
) -> None:
    scheduled, half = tmp_path / "checkpoint-10", tmp_path / "checkpoint-20"
    scheduled.mkdir()
    (scheduled / "trainer_state.json").write_text("{}")
    begin_checkpoint(half, Note("r1", 20, 160, only_parked=True))
    assert last_whole_checkpoint(tmp_path) == scheduled
    remove_parked(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-10"]


def test_a_parked_trial_belongs_to_no_worker_and_is_never_lost(
    sweep: Callable[..., ParkedSweep],
) -> None:
    made = sweep()
    made.park(0.62)
    assert made.study.requeue_lost({}) == []
    assert made.parked


GONE = """
import os, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from parked import ParkedSweep

made = ParkedSweep(sys.argv[1], Path(sys.argv[2]))
trial = made.parking.next()
print(trial.name if trial else "none", flush=True)
os._exit(0)
"""


def worker(storage: str, folder: Path) -> subprocess.Popen[str]:
    """A worker that takes a parked trial and dies."""
    support = str(Path(__file__).parent / "support")
    words = [sys.executable, "-c", GONE, storage, str(folder), support]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ)


def test_of_many_workers_one_resumes_a_parked_trial_and_its_death_loses_nothing(
    sweep: Callable[..., ParkedSweep], storage: str, tmp_path: Path
) -> None:
    made = sweep()
    good, fair = made.park(0.62), made.park(0.65)
    three = [worker(storage, tmp_path) for _ in range(3)]
    said = [process.communicate(timeout=300)[0].strip() for process in three]
    assert sorted(said) == sorted(["none", good.name, fair.name])
    assert made.parked == []
    assert sorted(made.study.requeue_lost({})) == sorted([good.name, fair.name])
    # Its new attempt is still one that was parked before, and says why it goes on.
    while (trial := made.study.claim()) is not None:
        if trial.folder == good.folder:
            assert trial.resumed_at == PARKED_AT
            assert trial.resumed["decision"]["action"] == "resume"  # type: ignore[index]
            return
    pytest.fail("the trial is lost")


def test_a_trial_is_not_taken_twice(sweep: Callable[..., ParkedSweep]) -> None:
    made = sweep()
    made.park(0.62)
    (trial,) = ParkedTrials(made.study).all()
    resumed = {"step": PARKED_AT}
    assert ParkedTrials(made.study).take(trial, resumed) is not None
    assert ParkedTrials(made.study).take(trial, resumed) is None


def recorded(number: int) -> list[RecordedRun]:
    draw, found = random.Random(3), []
    for i in range(number):
        floor = draw.uniform(*(SPACE.parameters["floor"].low, 2.5))  # type: ignore[union-attr]
        score = 3 - floor + draw.gauss(0, 0.02)
        found.append(RecordedRun(f"r{i}", f"r{i}", score, tuple(losses(floor, i))))
    return found


def test_the_backtest_replays_parking_and_keeps_the_best_run() -> None:
    runs = recorded(12)
    found = backtest(runs, ParkingPolicy("parking", STOP), orders=5)
    assert found.best_kept == 1
    assert found.steps_saved > 0.2
    assert found.stopped > 0.3
