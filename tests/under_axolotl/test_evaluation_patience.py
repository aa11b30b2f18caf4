"""A run of Axolotl whose evaluations no longer improve is stopped, its best kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from axolotl_sftguide.runs.marker import read_marker

BEST = 8
"""After this step the run gets worse; the evaluations are at every fourth."""

PLUGINS = ["axolotl_sftguide.SFTGuidePlugin", "worsen_plugin.WorsenPlugin"]
EVALUATED = {"val_set_size": 0.1, "eval_steps": 4, "max_steps": 40}
SAVED = {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 1}


def rule(**block: Any) -> dict[str, Any]:
    evaluation = {"patience": 2, **block}
    return {"early_termination": {"action": "off", "evaluation": evaluation}}


def checkpoints(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("checkpoint-*")}


def remarks(said: str) -> list[str]:
    start = "sftguide: warning: early_termination.evaluation"
    return [line for line in said.splitlines() if line.startswith(start)]


def test_the_run_stops_at_the_evaluation_and_the_best_checkpoint_stays(
    train_axolotl: Callable[..., Any],
    axolotl_config: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from axolotl.cli.config import load_cfg

    outcome = train_axolotl(plugins=PLUGINS, sftguide=rule(), **EVALUATED, **SAVED)
    found = [e for e in outcome.trace.events if e["event"] == "evaluation"]
    losses = {e["step"]: e["metrics"]["eval_loss"] for e in found}
    assert sorted(losses) == [0, 4, 8, 12, 16]
    assert min(losses, key=losses.__getitem__) == BEST
    assert (outcome.run.status, outcome.run.step) == ("terminated", 16)
    assert checkpoints(outcome.output_dir) == {"checkpoint-8", "checkpoint-16"}
    best = str(outcome.output_dir / "checkpoint-8")
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert (marker.rule, marker.best_step) == ("evaluation", BEST)
    assert marker.best_checkpoint == best
    assert (outcome.output_dir / "model.safetensors").exists()  # Axolotl saves it
    said = capsys.readouterr().out
    assert f"Best checkpoint: {best}" in said
    assert not remarks(said)
    # Whoever takes the final model is told of the better one.
    path = tmp_path / "merge.yml"
    path.write_text(yaml.safe_dump(axolotl_config()))
    load_cfg(str(path), merge_lora=True)
    assert f"best evaluation or nearest to it: {best}" in capsys.readouterr().out


def test_with_more_patience_a_stopped_run_goes_on_from_its_last_checkpoint(
    train_axolotl: Callable[..., Any],
) -> None:
    schedule = {**EVALUATED, **SAVED}
    train_axolotl(plugins=PLUGINS, sftguide=rule(), **schedule)
    resumed = train_axolotl(
        plugins=PLUGINS,
        sftguide=rule(patience=4),
        auto_resume_from_checkpoints=True,
        **schedule,
    )
    assert (resumed.run.status, resumed.run.step) == ("terminated", 24)
    assert checkpoints(resumed.output_dir) == {"checkpoint-8", "checkpoint-24"}
    marker = read_marker(resumed.output_dir)
    assert marker is not None
    assert marker.best_step == BEST


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            {"val_set_size": 0},
            "cannot act: the run has no evaluation set. Set val_set_size (such as",
        ),
        (
            {"val_set_size": 0.1},
            "cannot act: the run is never evaluated. Set eval_steps, evals_per_epoch",
        ),
        (
            {"val_set_size": 0.1, "eval_steps": 2, "save_strategy": None},
            "evaluated every 2 steps and saved after each epoch, and the checkpoint "
            "nearest to the best evaluation is kept. To save one at each evaluation, "
            "set save_strategy: steps, save_steps: 2",
        ),
        (
            {
                "val_set_size": 0.1,
                "eval_strategy": "epoch",
                "save_strategy": None,
                "save_steps": 5,
                "max_steps": None,
                "num_epochs": 4,
                "learning_rate": 0.0,
            },
            "set save_strategy: epoch without save_steps and saves_per_epoch",
        ),
        (
            {
                "val_set_size": 0.1,
                "evals_per_epoch": 2,
                "saves_per_epoch": 1,
                "save_strategy": None,
                "max_steps": None,
                "num_epochs": 2,
                "learning_rate": 0.0,
            },
            "set saves_per_epoch to the value of evals_per_epoch",
        ),
    ],
)
def test_what_keeps_the_rule_from_its_work_is_said_in_one_line(
    train_axolotl: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    config: dict[str, Any],
    says: str,
) -> None:
    train_axolotl(sftguide=rule(), logging_steps=50, **config)
    (remark,) = remarks(capsys.readouterr().out)
    assert says in remark


def test_without_the_block_nothing_is_said_and_no_checkpoint_is_kept(
    train_axolotl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    block = {"early_termination": {"action": "stop"}}
    outcome = train_axolotl(
        plugins=PLUGINS, sftguide=block, **EVALUATED | {"max_steps": 16}, **SAVED
    )
    assert outcome.run.status == "finished"
    assert checkpoints(outcome.output_dir) == {"checkpoint-16"}
    said = capsys.readouterr().out
    assert not remarks(said)
    assert "best eval_loss" not in said
