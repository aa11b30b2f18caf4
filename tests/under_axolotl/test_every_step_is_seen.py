"""Every optimizer step is recorded, and its norm is the one before clipping."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from signals_checks import check_norms, check_window_losses


@pytest.mark.parametrize("logging_steps", [1, 10])
@pytest.mark.parametrize("max_grad_norm", [1.0, 0.001, 0.0])
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_norms_agree_with_an_independent_float64_norm(
    train_axolotl: Callable[..., Any],
    adapter: Path,
    lora: bool,
    max_grad_norm: float,
    logging_steps: int,
) -> None:
    arm = {"adapter": "lora", "lora_model_dir": str(adapter)} if lora else {}
    outcome = train_axolotl(
        witness=True, logging_steps=logging_steps, max_grad_norm=max_grad_norm, **arm
    )
    check_norms(outcome)


@pytest.mark.parametrize("logging_steps", [1, 5, 10])
def test_the_mean_loss_of_a_window_is_what_the_host_logs(
    train_axolotl: Callable[..., Any], logging_steps: int
) -> None:
    check_window_losses(train_axolotl(logging_steps=logging_steps))


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("micro_batch_size", [1, 2])
def test_under_packing_the_samples_are_counted_from_the_batches(
    train_axolotl: Callable[..., Any], padding: bool, micro_batch_size: int
) -> None:
    outcome = train_axolotl(
        witness=True,
        sample_packing=True,
        pad_to_sequence_len=padding,
        micro_batch_size=micro_batch_size,
        gradient_accumulation_steps=2,
        max_steps=None,
        num_epochs=1,
        sequence_len=128,
    )
    last = outcome.trace.observations[-1]
    assert last.samples_counted
    assert last.samples_seen == outcome.witness.answers
    assert 0 < last.samples_seen <= 256


def test_the_log_keys_stand_beside_the_hosts_own(
    train_axolotl: Callable[..., Any],
) -> None:
    outcome = train_axolotl(logging_steps=5)
    norms = {o.step: o.grad_norm for o in outcome.trace.observations}
    log = outcome.logs[0]
    assert log["grad_norm"] == pytest.approx(norms[5])
    assert log["sftguide/grad_norm_last"] == norms[5]
    assert log["sftguide/grad_norm_max"] == max(norms[s] for s in range(1, 6))
