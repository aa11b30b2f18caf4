"""The switches are set where the loss follows the count, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from axolotl_sftguide.monitor.accumulation import loss_normalisation, make_exact


@pytest.fixture
def trainer(base: Path, data: Path, tmp_path: Path) -> Any:
    from hosts import make_sft_trainer

    found, _ = make_sft_trainer(base, data, tmp_path)
    found.model_accepts_loss_kwargs = False  # as Axolotl 0.19.0 sets it
    found.args.average_tokens_across_devices = False
    return found


def test_the_switches_are_set_once(trainer: Any) -> None:
    assert loss_normalisation(trainer) == "mean of micro-batch means"
    for _ in range(2):
        assert make_exact(trainer) is None
        assert loss_normalisation(trainer) == "token mean"


def test_a_single_micro_batch_needs_no_switch(trainer: Any) -> None:
    trainer.args.gradient_accumulation_steps = 1
    assert make_exact(trainer) is None
    assert not trainer.model_accepts_loss_kwargs


def test_a_loss_that_the_trainer_itself_divides_is_left_alone(trainer: Any) -> None:
    """As DPO and KTO of TRL 1.15 do, which still accept the count."""
    trainer.model_accepts_loss_kwargs = True
    trainer.loss_is_scaled_for_ga = False
    assert loss_normalisation(trainer) == "mean of micro-batch means"
    assert "divides its loss by the micro batches" in str(make_exact(trainer))


def test_no_random_number_is_drawn_even_with_dropout(trainer: Any) -> None:
    trainer.model.config.attention_dropout = 0.5
    trainer.model.train()
    state = torch.get_rng_state()
    assert make_exact(trainer) is None
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_that_ignores_the_count_is_found(trainer: Any) -> None:
    forward = trainer.model.forward

    def deaf(*args: Any, num_items_in_batch: Any = None, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    trainer.model.forward = deaf
    assert "is not divided by num_items_in_batch" in str(make_exact(trainer))
    assert loss_normalisation(trainer) == "mean of micro-batch means"


def test_a_model_that_cannot_be_tried_is_left_alone(trainer: Any) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise TypeError("pixel_values is missing")

    trainer.model.forward = broken
    assert "TypeError: pixel_values is missing" in str(make_exact(trainer))
    assert not trainer.model_accepts_loss_kwargs


def test_a_mixture_with_an_auxiliary_loss_is_refused(trainer: Any) -> None:
    trainer.model.config.output_router_logits = True
    assert "experts' auxiliary loss" in str(make_exact(trainer))


def test_a_trainer_with_a_loss_of_its_own_is_refused(trainer: Any) -> None:
    class Distillation(type(trainer)):  # type: ignore[misc]
        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            return super().compute_loss(*args, **kwargs)

    trainer.__class__ = Distillation
    assert make_exact(trainer) == "Distillation computes its own loss"


def test_ranks_that_average_alone_are_named(trainer: Any) -> None:
    trainer.model_accepts_loss_kwargs = True

    class Two:
        gradient_accumulation_steps = 2
        world_size = 2
        average_tokens_across_devices = False

    trainer.args = Two()
    assert loss_normalisation(trainer) == "mean of the ranks' token means"
