"""The pruner in a real Optuna study, over runs that write real traces."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from loss_curves import learning, run
from runs import run_row

from axolotl_sftguide import SFTGuidePruner
from axolotl_sftguide.errors import SettingsError
from axolotl_sftguide.monitor.recorder import RunRecorder
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.stopping.baselines import baselines

optuna = pytest.importorskip("optuna")
STEPS = 320


class Training:
    """What a trial's objective does: one watched run, reported as it goes."""

    def __init__(self, folder: Path, storage: str | None = None) -> None:
        self.folder, self.storage = folder, storage
        self.taken: dict[int, int] = {}

    def __call__(self, trial: Any) -> float:
        rate = trial.suggest_float("rate", 0.0, 1.0)
        name = f"trial-{trial.number}"
        trial.set_user_attr("sftguide_run", name)
        row = run_row(name, name=name, output_dir=str(self.folder / name))
        recorder = RunRecorder(row, storage=self.storage, trace=True, warn=print)
        broken = rate > 0.5
        losses = learning(STEPS, trial.number)
        if broken:
            losses = [*losses[:60], *(x + 8 for x in losses[60:])]
        steps = run(losses)
        for start in range(0, STEPS, 20):
            recorder.steps(steps[start : start + 20])
            self.taken[trial.number] = start + 20
            trial.report(losses[start], start)
            if trial.should_prune():
                recorder.end("terminated", "pruned")
                raise optuna.TrialPruned
        recorder.score(Score("m", 1 - rate, "max"))
        recorder.end("finished")
        return float(losses[-1])


def study(pruner: Any) -> Any:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = optuna.create_study(pruner=pruner)
    for rate in (0.1, 0.9, 0.2, 0.8):
        found.enqueue_trial({"rate": rate})
    return found


def test_trials_whose_run_diverges_are_pruned_and_the_others_are_not(
    tmp_path: Path,
) -> None:
    training = Training(tmp_path)
    own = study(SFTGuidePruner())
    own.optimize(training, n_trials=4)
    states = [trial.state.name for trial in own.trials]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED"]
    assert training.taken[1] == training.taken[3] < STEPS / 2


def test_a_rule_that_only_warns_prunes_nothing(tmp_path: Path) -> None:
    own = study(SFTGuidePruner(action="warn"))
    own.optimize(Training(tmp_path), n_trials=2)
    assert [trial.state.name for trial in own.trials[:2]] == ["COMPLETE"] * 2


def test_a_stop_that_was_decided_elsewhere_is_heeded(tmp_path: Path) -> None:
    history = RunHistory()
    history.begin(run_row("r1"))
    pruner = SFTGuidePruner(action="warn")
    trial = study(pruner).ask()
    trial.set_user_attr("sftguide_run", "r1")
    assert not trial.should_prune()
    history.add_decision("r1", Decision("divergence", "stop", "high", 5, 40))
    assert trial.should_prune()


def test_a_trial_without_a_run_is_never_pruned() -> None:
    assert not study(SFTGuidePruner()).ask().should_prune()


def test_a_history_that_cannot_be_opened_prunes_nothing_and_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = study(SFTGuidePruner(storage="/dev/null/h.db"))
    for _ in range(2):
        trial = own.ask()
        trial.set_user_attr("sftguide_run", "r1")
        assert not trial.should_prune()
    assert caplog.text.count("cannot be opened") == 1


def test_a_wrong_rule_is_refused_with_its_path() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'divergence'"):
        SFTGuidePruner(divergance={"patience": 3})


def test_it_travels_to_another_process_before_it_is_used() -> None:
    assert isinstance(pickle.loads(pickle.dumps(SFTGuidePruner())), SFTGuidePruner)


def test_it_judges_by_the_metric_that_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str | None] = []

    def spy(candidate: Any, *rest: Any) -> Any:
        asked.append(candidate.metric)
        return baselines(candidate, *rest)

    monkeypatch.setattr("axolotl_sftguide.sweep.pruner.baselines", spy)
    for pruner in (SFTGuidePruner(), SFTGuidePruner(metric="f1")):
        study(pruner).optimize(Training(tmp_path / str(len(asked))), n_trials=1)
    assert asked == [None, "f1"]
