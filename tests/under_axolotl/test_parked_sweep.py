"""A sweep that parks and resumes, killed and called again, with real trainings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hosts import run_axolotl
from sweeper import STUDY, Sweeper, kill

from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.runs.history import RunHistory, Score
from axolotl_sftguide.runs.traces import Trace
from axolotl_sftguide.stopping.baselines import RecordedRun
from axolotl_sftguide.stopping.parking_replay import ParkingPolicy
from axolotl_sftguide.sweep._training import newest_trace

STEPS = 128
RATES = [1e-4, 3e-4, 1e-3, 3e-3, 2e-4, 2e-3]
"""Four that finish, one without a chance, and one with a chance of 5 to 50%."""

PARKING = {
    "sftguide.early_termination.prediction.chance": 0.05,
    "sftguide.early_termination.prediction.parking": {"chance": 0.5, "disk": "1GiB"},
}


def trace_of(sweep: Sweeper, trial: int) -> Trace:
    """The last trace: a training killed before its first checkpoint leaves one more."""
    trace = newest_trace(sweep.out / f"trial-{trial:04d}")
    assert trace is not None
    return trace


def actions(sweep: Sweeper, trial: int) -> list[str]:
    """The decisions, resumes, scores and ends in a trial's trace."""
    events = trace_of(sweep, trial).events
    kinds = ("decision", "resume", "score", "end")
    return [e.get("action", e["event"]) for e in events if e["event"] in kinds]


def is_resumed(sweep: Sweeper, trial: int) -> bool:
    trace = newest_trace(sweep.out / f"trial-{trial:04d}")
    return trace is not None and "resume" in [e["event"] for e in trace.events]


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.long
def test_a_sweep_killed_while_it_parks_and_resumes_has_the_scores_of_plain_trainings(
    sweeper: Callable[..., Sweeper],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sweep = sweeper(
        max_steps=STEPS,
        num_epochs=2,
        test_datasets=[{"path": str(data), "ds_type": "json", "type": "chat_template"}],
        eval_strategy="steps",
        eval_steps=STEPS // 2,
    )
    sweep.space = {"learning_rate": RATES, **PARKING}
    words = ["--", "--launcher", "python"]
    # The first kill: as soon as the checkpoint of the first parked trial appears.
    process = sweep.begin(*words)
    sweep.wait_for(lambda: list(sweep.out.glob("trial-0004/checkpoint-*")), 1800.0)
    process.kill()
    kill(sweep.trainings())
    # The second: the training of the resumed trial has just begun.
    process = sweep.begin(*words)
    sweep.wait_for(lambda: is_resumed(sweep, 5), 1800.0)
    process.kill()
    kill(sweep.trainings())
    process = sweep.begin(*words)
    said, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, said

    assert actions(sweep, 4)[0] == "park"
    assert actions(sweep, 4)[-2:] == ["stop", "end"]
    assert [a for a in actions(sweep, 5) if a != "resume"] == [
        *("park", "end", "score", "end")
    ]
    runs = {run.name: run for run in RunHistory(sweep.storage).runs(study=STUDY)}
    assert len(runs) == len(RATES)
    assert not list(sweep.out.rglob("checkpoint-*"))

    trained = []
    for trial in range(len(RATES)):
        # Each with a history of its own: the rule finds no earlier runs to stop it by.
        monkeypatch.setenv("SFTGUIDE_STORAGE", str(tmp_path / f"plain-{trial}.db"))
        trained.append(plain_training(sweep, tmp_path / str(trial), trial))
    for trial, alone in enumerate(trained):
        found, expected = trace_of(sweep, trial), alone.trace
        seen = found.observations
        assert seen == expected.observations[: len(seen)]
        run = runs[f"trial-{trial:04d}"]
        if trial == 4:
            assert (run.status, run.step < STEPS, run.scores) == (
                "terminated",
                True,
                (),
            )
            continue
        assert (run.status, len(seen)) == ("finished", STEPS)
        assert run.scores == alone.scores
        folder = sweep.out / f"trial-{trial:04d}"
        assert digest(folder) == alone.digest
    # A replay of the plain trainings ends the same trial.
    rules = EarlyTerminationSettings.model_validate(
        {"action": "stop", "prediction": {"chance": 0.05, "parking": {"chance": 0.5}}}
    )
    recorded = [
        RecordedRun(str(trial), "", -alone.scores[0].value, alone.trace.observations)
        for trial, alone in enumerate(trained)
    ]
    assert list(ParkingPolicy("", rules).replay(recorded)) == ["4"]


@dataclass(frozen=True)
class Plain:
    """What an uninterrupted training has left."""

    trace: Trace
    scores: tuple[Score, ...]
    digest: str


def plain_training(sweep: Sweeper, folder: Path, trial: int) -> Plain:
    """The config of a trial, trained in this process and never parked."""
    config = yaml.safe_load((sweep.out / f"trial-{trial:04d}/config.yml").read_text())
    config.pop("resume_from_checkpoint", None)
    folder.mkdir()
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump({**config, "output_dir": str(folder / "out")}))
    outcome = run_axolotl(path)
    return Plain(outcome.trace, outcome.run.scores, digest(outcome.output_dir))
