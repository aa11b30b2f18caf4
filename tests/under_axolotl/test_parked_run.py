"""A run that is parked and resumed is the run that was never interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from axolotl_sftguide.runs.checkpoints import last_whole_checkpoint, read_note
from axolotl_sftguide.runs.marker import read_marker

PLUGINS = ["axolotl_sftguide.SFTGuidePlugin", "park_plugin.ParkPlugin"]

ARMS: dict[str, tuple[int, dict[str, Any]]] = {
    "an evaluation is due": (8, {"eval_steps": 4}),
    "nothing is due": (6, {}),
    "a save is due": (
        8,
        {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 1},
    ),
    "saves are of the model only": (
        6,
        {"save_only_model": True, "save_strategy": "steps", "save_steps": 4},
    ),
    "an evaluation follows the end of the epoch": (
        8,
        {
            "eval_strategy": "epoch",
            "micro_batch_size": 8,
            "gradient_accumulation_steps": 4,
        },
    ),
}
QUICK = "an evaluation is due"


@pytest.mark.parametrize(
    "arm",
    [
        arm if arm == QUICK else pytest.param(arm, marks=pytest.mark.slow)
        for arm in ARMS
    ],
)
def test_a_parked_and_resumed_run_has_the_bits_of_an_uninterrupted_one(
    train_axolotl: Callable[..., Any], adapter: Path, tmp_path: Path, arm: str
) -> None:
    from park_plugin import ParkPlugin

    step, overrides = ARMS[arm]
    settings = {
        "plugins": PLUGINS,
        "adapter": "lora",
        "lora_model_dir": str(adapter),
        "lora_dropout": 0.1,  # draws random numbers at each step
        "val_set_size": 0.1,
        "max_steps": 12,
        "sftguide": {"early_termination": {"action": "off"}},
        **overrides,
    }
    ParkPlugin.at = None
    whole = train_axolotl(output_dir=str(tmp_path / "whole"), **settings)
    ParkPlugin.at = step
    parked = train_axolotl(output_dir=str(tmp_path / "parked"), **settings)
    step += arm.endswith("epoch")  # at the next step, after the evaluation
    assert (parked.run.status, parked.run.step) == ("parked", step)
    checkpoint = last_whole_checkpoint(parked.output_dir)
    assert checkpoint == parked.output_dir / f"checkpoint-{step}"
    note = read_note(checkpoint)
    assert note is not None
    assert note.only_parked == (arm != "a save is due")
    marker = read_marker(parked.output_dir)
    assert marker is not None
    assert marker.parked
    ParkPlugin.at = None
    resumed = train_axolotl(
        output_dir=str(tmp_path / "parked"),
        **{**settings, "resume_from_checkpoint": str(checkpoint)},
    )
    assert resumed.trace.observations == whole.trace.observations
    left, right = whole.weights, resumed.weights
    assert [name for name in left if not torch.equal(left[name], right[name])] == []
    # Axolotl also evaluates at the start of a resume.
    assert evaluations(whole).items() <= evaluations(resumed).items()
    assert resumed.run.id == parked.run.id
    assert (resumed.run.status, resumed.run.scores) == ("finished", whole.run.scores)
    assert read_marker(resumed.output_dir) is None


def evaluations(outcome: Any) -> dict[int, float]:
    return {
        event["step"]: event["metrics"]["eval_loss"]
        for event in outcome.trace.events
        if event["event"] == "evaluation"
    }
