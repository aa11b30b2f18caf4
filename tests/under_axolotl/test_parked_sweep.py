"""A sweep that parks and resumes, killed and called again, with real trainings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sweeper import STUDY, Sweeper, kill

from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import Trace, find_traces, read_trace
from axolotl_sftguide.sweep import SearchSpace
from axolotl_sftguide.sweep._config import config_of
from axolotl_sftguide.sweep._trial import Trial

RATES = [1e-4, 3e-4, 1e-3, 3e-3, 2e-4, 2e-3]
"""Four that finish, one without a chance, and one with a chance of 5 to 50%."""

PARKING = {
    "sftguide.early_termination.prediction.chance": 0.05,
    "sftguide.early_termination.prediction.parking": {"chance": 0.5, "disk": "1GiB"},
}


def outcome(sweep: Sweeper) -> list[tuple[Any, ...]]:
    """Rate, status, step and score of each run, in the order of the trials."""
    runs = RunHistory(sweep.storage).runs(study=STUDY)
    return [
        (
            run.config["learning_rate"],
            run.status,
            run.step,
            [(score.metric, score.value) for score in run.scores],
        )
        for run in sorted(runs, key=lambda run: run.name)
    ]


def trace_of(sweep: Sweeper, trial: int) -> Trace:
    (path,) = find_traces(sweep.out / f"trial-{trial:04d}")
    return read_trace(path)


def actions(sweep: Sweeper, trial: int) -> list[str]:
    events = trace_of(sweep, trial).events
    return [e.get("action", e["event"]) for e in events if e["event"] != "evaluation"]


def weights(sweep: Sweeper, trial: int) -> str:
    path = sweep.out / f"trial-{trial:04d}" / "model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_sweep_that_is_killed_while_it_parks_and_resumes_ends_as_one_that_is_not(
    sweeper: Callable[..., Sweeper], data: Path, tmp_path: Path
) -> None:
    recipe = {
        "max_steps": 128,
        "num_epochs": 2,
        "test_datasets": [
            {"path": str(data), "ds_type": "json", "type": "chat_template"}
        ],
        "eval_strategy": "steps",
        "eval_steps": 64,
    }
    words = ["--", "--launcher", "python"]
    whole, killed = sweeper(**recipe), sweeper(**recipe)
    for sweep, name in ((whole, "whole"), (killed, "killed")):
        sweep.folder = tmp_path / name
        sweep.folder.mkdir()
        sweep.storage = str(sweep.folder / "runs.db")
        sweep.space = {"learning_rate": RATES, **PARKING}
    code, said = whole.run(*words)
    assert code == 0, said
    found = outcome(whole)
    print(said, found)
    assert [row[1] for row in found] == [*["finished"] * 4, "terminated", "finished"]
    assert actions(whole, 4) == ["park", "end", "stop", "end"]
    assert actions(whole, 5)[:4] == ["park", "end", "resume", "resume"]
    assert "trial-0005 resumed at step " in said
    assert whole.states() == [*["COMPLETE"] * 4, "PRUNED", "COMPLETE"]
    assert not list(whole.out.rglob("checkpoint-*"))

    # The first kill: as soon as the checkpoint of the first parked trial appears.
    process = killed.begin(*words)
    killed.wait_for(lambda: list(killed.out.glob("trial-0004/checkpoint-*")))
    process.kill()
    kill(killed.trainings())
    # The second: the training of the resumed trial has just begun.
    process = killed.begin(*words)
    killed.wait_for(
        lambda: (
            find_traces(killed.out / "trial-0005")
            and "resume" in [e["event"] for e in trace_of(killed, 5).events]
        )
    )
    process.kill()
    kill(killed.trainings())
    code, said = killed.run(*words)
    assert code == 0, said
    assert outcome(killed) == found
    assert actions(killed, 5).count("park") == 1
    for trial in (3, 5):
        assert trace_of(killed, trial).observations == (
            trace_of(whole, trial).observations
        )
        assert weights(killed, trial) == weights(whole, trial)
    assert not list(killed.out.rglob("checkpoint-*"))

    # The same trial as a training of its own that nobody parks.
    import yaml
    from hosts import run_axolotl

    alone = Trial(5, {"learning_rate": RATES[5]}, tmp_path / "alone")
    recipe_read = yaml.safe_load((tmp_path / "recipe.yml").read_text())
    config = config_of(alone, "alone", recipe_read, SearchSpace({}, PARKING))
    config["learning_rate"] = RATES[5]
    path = tmp_path / "alone.yml"
    path.write_text(yaml.safe_dump(config))
    trained = run_axolotl(path)
    assert trained.trace.observations == trace_of(whole, 5).observations
    written = (trained.output_dir / "model.safetensors").read_bytes()
    assert hashlib.sha256(written).hexdigest() == weights(whole, 5)
