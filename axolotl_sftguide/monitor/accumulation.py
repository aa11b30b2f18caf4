"""How the loss of an accumulated batch is averaged, and how to make it exact.

If answers differ in length, an accumulated step has two possible means: the mean over
all trained tokens, and the mean of the micro batches' means, which gives more weight to
the tokens of short answers. Axolotl 0.19.0 takes the second (its pull request 3982), so
the same samples give different gradients as 8x1 and as 1x8. Both switches that are set
below belong to transformers.
"""

from __future__ import annotations

from typing import Any

import torch

from ..signals.comparability import TOKEN_MEAN

TOKEN_MEAN_OF_RANKS = "mean of the ranks' token means"
MICRO_BATCH_MEANS = "mean of micro-batch means"

_PLAIN = frozenset(
    {
        "transformers.trainer.Trainer",
        "trl.trainer.sft_trainer.SFTTrainer",
        "axolotl.core.trainers.base.AxolotlTrainer",
    }
)
"""Trainers whose `compute_loss` is that of a plain causal language model."""

_PROBE_TOKENS, _PROBE_PROMPT = 8, 3
_TOLERANCE = 0.02  # bf16 has three digits


def loss_normalisation(trainer: Any) -> str:
    """How the trainer averages the loss of a step, according to its settings."""
    args = trainer.args
    if args.gradient_accumulation_steps * args.world_size == 1:
        return TOKEN_MEAN
    own_function = getattr(trainer, "compute_loss_func", None) is not None
    # Since transformers 5.19 a trainer may say itself that its loss is not scaled.
    if getattr(trainer, "loss_is_scaled_for_ga", None) is False:
        return MICRO_BATCH_MEANS
    if not (getattr(trainer, "model_accepts_loss_kwargs", False) or own_function):
        return MICRO_BATCH_MEANS
    across = getattr(args, "average_tokens_across_devices", False)
    return TOKEN_MEAN if across or args.world_size == 1 else TOKEN_MEAN_OF_RANKS


def make_exact(trainer: Any) -> str | None:
    """Make the trainer average over all trained tokens of all micro batches and ranks.

    Both switches are set only if a test on a few made-up tokens shows that the model's
    loss is divided by `num_items_in_batch`. A trainer that already averages this way is
    left unchanged, so nothing is corrected twice. No random number is drawn.

    Returns:
        None if the token mean applies, else why it does not.
    """
    obstacle = _obstacle(trainer) or _loss_ignores_the_count(trainer)
    if obstacle is None and loss_normalisation(trainer) != TOKEN_MEAN:
        trainer.model_accepts_loss_kwargs = True
        trainer.args.average_tokens_across_devices = True
    return obstacle


def _obstacle(trainer: Any) -> str | None:
    cls = next(c for c in type(trainer).__mro__ if "compute_loss" in vars(c))
    if f"{cls.__module__}.{cls.__qualname__}" not in _PLAIN:
        return f"{cls.__name__} computes its own loss"
    if getattr(trainer.args, "orpo_alpha", None):
        return "ORPO computes its own loss"
    if getattr(trainer, "loss_is_scaled_for_ga", None) is False:
        return "the trainer divides its loss by the micro batches"
    if getattr(trainer, "compute_loss_func", None) is not None:
        return "the trainer has a custom loss function (compute_loss_func)"
    if getattr(trainer.model.config, "output_router_logits", False):
        return "the experts' auxiliary loss would be added once for each micro batch"
    parallelism = getattr(trainer.accelerator, "parallelism_config", None)
    if parallelism is not None and parallelism.non_data_parallel_size > 1:
        return "ranks share samples (tensor or sequence parallelism)"
    return None


def _loss_ignores_the_count(trainer: Any) -> str | None:
    """If `num_items_in_batch` is doubled, the loss of made-up tokens must be halved."""
    device = trainer.args.device
    ids = torch.arange(1, _PROBE_TOKENS + 1, device=device).unsqueeze(0)
    labels = ids.clone()
    labels[:, :_PROBE_PROMPT] = -100
    batch = {"input_ids": ids, "labels": labels, "attention_mask": torch.ones_like(ids)}
    twice = torch.tensor(2 * (_PROBE_TOKENS - _PROBE_PROMPT), device=device)
    try:
        plain = _probe(trainer, batch)
        halved = _probe(trainer, {**batch, "num_items_in_batch": twice})
    except Exception as error:
        return f"the model's loss could not be tested ({type(error).__name__}: {error})"
    if abs(2 * halved - plain) <= _TOLERANCE * abs(plain):
        return None
    return "the model's loss is not divided by num_items_in_batch"


def _probe(trainer: Any, batch: dict[str, Any]) -> float:
    device = trainer.args.device
    devices = [device] if device.type == "cuda" else []
    # Both passes draw the same dropout; the training's generators are restored.
    with (
        torch.random.fork_rng(devices=devices),
        torch.no_grad(),
        trainer.compute_loss_context_manager(),
    ):
        output = trainer.model_wrapped(**batch)
    loss = output["loss"] if isinstance(output, dict) else output[0]
    return float(loss)
