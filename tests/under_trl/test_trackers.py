"""The trackers that TRL reports to show a run's keys, its stop and the reason."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hosts import Outcome, make_sft_trainer
from same_bits import assert_same_bits
from tiny import rows, write_rows
from tracker_files import READERS, environment, of_tensorboard, stored_by, usable

from axolotl_sftguide import watch
from axolotl_sftguide.runs.history import RunHistory

with_tensorboard = pytest.mark.skipif(
    not usable("tensorboard"), reason="TensorBoard is not installed"
)

NOT_FINITE = {"learning_rate": 1e30, "max_grad_norm": 0.0, "max_steps": 12}
PREFIX = {"mlflow": "sftguide/", "aim": "sftguide/"}
"""The host adds `train/` for the other trackers."""


def train(base: Path, data: Path, folder: Path, *trackers: str, **settings: Any) -> Any:
    callbacks: list[Any] = []
    if "aim" in trackers:
        from aim.hugging_face import AimCallback

        place = str(folder / "aim")
        callbacks = [AimCallback(repo=place, system_tracking_interval=None)]
    trainer, _ = make_sft_trainer(
        base,
        data,
        folder,
        *callbacks,
        report_to=[name for name in trackers if name != "aim"],
        **{**NOT_FINITE, **settings},
    )
    held_out = write_rows(folder / "held-out.jsonl", rows(2, 1))
    score = {"data_path": str(held_out), "max_new_tokens": 2}
    watch(trainer, score=score, early_termination={"action": "stop"})
    trainer.train()
    return trainer


def check(name: str, folder: Path) -> None:
    """What a person finds in a tracker after a run that was stopped."""
    stored = stored_by(name, folder)
    (run,) = RunHistory().runs()
    assert run.status == "terminated"
    (stop,) = [d for d in run.decisions if d.action == "stop"]
    prefix = PREFIX.get(name, "train/sftguide/")
    assert {f"{prefix}grad_norm_mean", f"{prefix}samples_seen"} <= stored.series
    assert stored.facts["sftguide/run_id"] == run.id
    if name != "trackio":  # it takes the config with the first log only
        assert stored.facts["sftguide/status"] == "terminated"
        assert stored.facts["sftguide/stopped_by"] == stop.rule == "non_finite"
        assert stored.facts["sftguide/reason"] == stop.reason
        assert int(stored.facts["sftguide/stopped_at_step"]) == run.step
        assert int(stored.facts["sftguide/steps_saved"]) == run.steps_saved > 0
    if name != "mlflow":  # it has no alerts
        (alert,) = stored.alerts
        assert f"stopped by non_finite at step {run.step}" in alert
        assert stop.reason in alert
    scores = {*stored.series, *stored.facts}
    assert "sftguide/score/heldout_exact_match" in scores
    assert "sftguide/score/heldout_exact_match_before_training" in scores


@with_tensorboard
def test_tensorboard_shows_the_stop_and_its_reason(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    train(base, data, tmp_path, "tensorboard")
    check("tensorboard", tmp_path)


@with_tensorboard
def test_a_tracker_that_fails_is_left_out_and_the_run_goes_on(
    base: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    text = SummaryWriter.add_text

    def full(self: Any, tag: str, *args: Any, **kwargs: Any) -> Any:
        if tag.startswith("sftguide"):
            raise OSError("no space left on device")
        return text(self, tag, *args, **kwargs)

    monkeypatch.setattr(SummaryWriter, "add_text", full)
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "tensorboard"))
    trainer = train(base, data, tmp_path, "tensorboard")
    (run,) = RunHistory().runs()
    assert run.status == "terminated"
    assert run.score() is not None
    assert len([log for log in trainer.state.log_history if "loss" in log]) == run.step
    said = capsys.readouterr().out
    assert said.count("no space left on device") == 1
    assert "sftguide cannot write to TensorBoard" in said
    assert "no more data of this run is sent there" in said


@with_tensorboard
def test_trackers_are_left_alone_if_the_settings_say_so(
    train_trl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "tensorboard"))
    outcome = train_trl(
        GradientMonitorCallback(trackers=False),
        EarlyTerminationCallback(),
        report_to=["tensorboard"],
        **NOT_FINITE,
    )
    assert outcome.run.status == "terminated"
    stored = stored_by("tensorboard", tmp_path)
    assert "train/sftguide/grad_norm_last" in stored.series
    assert not stored.facts
    assert not stored.alerts


@pytest.fixture(scope="module")
def in_all(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one stopped run that reports to all trackers that are usable."""
    folder = tmp_path_factory.mktemp("trackers")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        patch.setenv("SFTGUIDE_STORAGE", str(folder / "runs.db"))
        train(base, data, folder, *filter(usable, READERS))
        if usable("wandb"):
            import wandb

            wandb.finish()  # what the end of the process does
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_every_tracker_shows_the_stop_and_its_reason(
    name: str, in_all: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFTGUIDE_STORAGE", str(in_all / "runs.db"))
    check(name, in_all)


@pytest.mark.slow
@with_tensorboard
def test_a_warning_in_trackers_changes_neither_weights_nor_random_numbers(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {"window": 8, "patience": 2, "sigmas": 0.01}
    quick |= {"margin": 0.0, "norm_margin": 0.0}
    usual = {"learning_rate": 0.003, "max_grad_norm": 1.0, "max_steps": 40}
    kept = []
    for told in (False, True):
        folder = tmp_path / str(told)
        folder.mkdir()
        for name, value in environment(folder).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SFTGUIDE_STORAGE", str(folder / "runs.db"))
        trackers = [name for name in ("tensorboard", "wandb") if usable(name)]
        trainer, _ = make_sft_trainer(base, data, folder, report_to=trackers, **usual)
        watch(trainer, trackers=told, early_termination={"divergence": quick})
        random.seed(0)
        trainer.train()
        (run,) = RunHistory().runs()
        assert [d.action for d in run.decisions] == ["warn"]
        outcome = Outcome(folder, trainer, None)
        kept.append((outcome, random.random(), float(torch.rand(1))))
        if "wandb" in trackers:
            import wandb

            wandb.finish()
    assert_same_bits(kept[0][0], kept[1][0])
    assert kept[0][1:] == kept[1][1:]
    assert any("warned by divergence" in a for a in of_tensorboard(folder).alerts)
