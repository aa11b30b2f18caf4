"""The trackers that Axolotl reports to show the stop of a run and its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tracker_files import environment, stored_by, usable

from axolotl_sftguide.runs.history import RunHistory

SWITCHES = {
    "tensorboard": {"use_tensorboard": True},
    "wandb": {"use_wandb": True, "wandb_mode": "offline"},
    "mlflow": {"use_mlflow": True, "mlflow_experiment_name": "tiny"},
    "trackio": {"use_trackio": True, "trackio_project_name": "tiny"},
}


@pytest.mark.slow
def test_every_tracker_shows_the_stop_and_its_reason(
    train_axolotl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    used = [name for name in SWITCHES if usable(name)]
    assert {"tensorboard", "wandb"} <= set(used)  # Axolotl installs both
    keys: dict[str, Any] = {}
    for name in used:
        keys |= SWITCHES[name]
    import wandb

    wandb.teardown()  # of another test's folder, which the process remembers
    train_axolotl(learning_rate=1e30, max_grad_norm=0.0, max_steps=12, **keys)
    wandb.finish()  # what the end of the process does
    (run,) = RunHistory().runs()
    (stop,) = [d for d in run.decisions if d.action == "stop"]
    for name in used:
        stored = stored_by(name, tmp_path)
        assert stored.facts["sftguide/run_id"] == run.id
        prefix = "sftguide/" if name == "mlflow" else "train/sftguide/"
        assert f"{prefix}grad_norm_mean" in stored.series
        if name != "trackio":
            assert stored.facts["sftguide/stopped_by"] == "non_finite"
            assert stored.facts["sftguide/reason"] == stop.reason
        if name != "mlflow":
            assert any(stop.reason in alert for alert in stored.alerts)
