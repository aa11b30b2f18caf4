"""A watched run is bit-identical to an unwatched one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from same_bits import assert_same_bits

ARMS = {
    "full": {},
    "full, rows from a worker": {"dataloader_num_workers": 1},
    "full, clipped hard": {"max_grad_norm": 0.001},
    "full, packed": {"sample_packing": True, "sequence_len": 128, "max_steps": 8},
    "lora": {"adapter": "lora"},
    "lora with dropout": {"adapter": "lora", "lora_dropout": 0.1},
}


@pytest.mark.parametrize("arm", ARMS)
def test_a_watched_run_has_the_losses_and_weights_of_an_unwatched_one(
    train_axolotl: Callable[..., Any], adapter: Path, tmp_path: Path, arm: str
) -> None:
    overrides = dict(ARMS[arm])
    if "adapter" in overrides:  # Axolotl makes a new adapter before anything is seeded
        overrides["lora_model_dir"] = str(adapter)
    unwatched = train_axolotl(plugins=[], output_dir=str(tmp_path / "a"), **overrides)
    again = train_axolotl(plugins=[], output_dir=str(tmp_path / "b"), **overrides)
    watched = train_axolotl(output_dir=str(tmp_path / "c"), **overrides)
    assert_same_bits(unwatched, again)
    assert_same_bits(unwatched, watched)
    assert len(watched.trace.observations) == len(watched.logs)


def test_rules_that_may_stop_and_a_score_change_nothing_either(
    train_axolotl: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    block = {
        "early_termination": {"action": "stop"},
        "score": {"data_path": str(data), "batch_size": 128, "max_new_tokens": 4},
    }
    unwatched = train_axolotl(plugins=[], output_dir=str(tmp_path / "a"))
    watched = train_axolotl(output_dir=str(tmp_path / "b"), sftguide=block)
    assert_same_bits(unwatched, watched)
    assert watched.run.scores


def test_seed_adapter_makes_two_lora_runs_start_from_the_same_adapter(
    train_axolotl: Callable[..., Any], tmp_path: Path
) -> None:
    import torch

    runs = []
    for name in ("a", "b"):
        torch.manual_seed(hash(name) % 1000)  # what else the process has drawn
        runs.append(
            train_axolotl(
                output_dir=str(tmp_path / name),
                adapter="lora",
                lora_r=4,
                lora_alpha=8,
                lora_target_linear=True,
                sftguide={"seed_adapter": True},
            )
        )
    assert_same_bits(*runs)
    assert runs[0].run.key == runs[1].run.key
    assert runs[0].run.key_fields["adapter_seed"] == 42
