"""Derives gradient accumulation from the effective batch size."""

from __future__ import annotations

import logging
import os
from typing import Any

from ...errors import Problem, SettingsError
from ...evidence import CLAIMS
from ...evidence.effective_batch import (
    KEY,
    accumulation,
    choose,
    factors,
    nearest_accumulation,
    require_enough_rows,
)
from ._steps import count_steps, samples_of_a_micro_step

logger = logging.getLogger(__name__)


def accumulate_before_data(cfg: Any, wanted: int | str) -> None:
    """Set the accumulation in the config, unless it depends on the data.

    Raises:
        SettingsError: If the batch size is impossible, or also set by another key.
    """
    if cfg.get("batch_size"):
        message = f"cannot be combined with {KEY}"
        raise SettingsError([Problem("batch_size", message, "Remove batch_size")])
    if cfg.get("rl") or cfg.get("pretraining_dataset") or cfg.get("streaming"):
        message = "works only for SFT on data that are loaded before training"
        raise SettingsError([Problem(KEY, message, "Remove it")])
    given = cfg.get("gradient_accumulation_steps") or 1
    derived = 1
    if isinstance(wanted, int) and not cfg.get("sample_packing"):
        ranks = int(cfg.get("ray_num_workers") or os.environ.get("WORLD_SIZE", "1"))
        for kind in ("tensor_parallel_size", "context_parallel_size"):
            ranks //= int(cfg.get(kind) or 1)
        micro = int(cfg.get("micro_batch_size") or 1)
        derived = accumulation(wanted, micro, ranks)
    if given not in (1, derived):
        raise SettingsError(
            [
                Problem(
                    "gradient_accumulation_steps",
                    f"must be {derived} to agree with {KEY}, got {given}"
                    if derived > 1
                    else f"cannot be combined with {KEY}, got {given}",
                    "Remove one of them",
                )
            ]
        )
    cfg["gradient_accumulation_steps"] = derived


def print_batch(cfg: Any, wanted: int | str, trainer: Any) -> None:
    """Print how a step is made up, unless `accumulate_for_data` already has.

    Raises:
        SettingsError: If a step has more samples than the data.
    """
    if cfg.sample_packing or wanted == "auto":
        return
    require_enough_rows(int(wanted), len(trainer.train_dataset))
    if trainer.is_world_process_zero():
        args = trainer.args
        derived = args.gradient_accumulation_steps
        ranks = int(wanted) // (derived * args.per_device_train_batch_size)
        logger.info(
            f"effective batch size {wanted} = "
            f"{factors(args.per_device_train_batch_size, ranks)} x {derived} "
            "(gradient_accumulation_steps, derived)"
        )


def accumulate_for_data(cfg: Any, wanted: int | str) -> Any:
    """Load the data and set the accumulation for them, the same on all ranks."""
    from axolotl.common.datasets import load_datasets
    from axolotl.utils.distributed import reduce_and_broadcast

    loaded = load_datasets(cfg=cfg)
    data = loaded.train_dataset
    rows, micro = len(data), cfg.micro_batch_size
    ranks = cfg.batch_size // (micro * cfg.gradient_accumulation_steps)
    reason = "as set"
    if wanted == "auto":
        choice = choose(rows, "adapter" if cfg.adapter else "full")
        reason = f"{rows:,} rows: {CLAIMS[choice.claims[0]].reference}"
        wanted = choice.samples
    require_enough_rows(int(wanted), rows)

    a_micro_step = samples_of_a_micro_step(cfg, data, micro, ranks)
    derived = nearest_accumulation(int(wanted), a_micro_step)
    derived = int(reduce_and_broadcast(lambda: float(derived), max))
    total = count_steps(cfg, data, micro, derived, ranks)
    loaded.total_num_steps = min(total, cfg.max_steps) if cfg.max_steps else total
    if "ACCELERATE_GRADIENT_ACCUMULATION_STEPS" in os.environ:
        os.environ["ACCELERATE_GRADIENT_ACCUMULATION_STEPS"] = str(derived)
    packed = f", {a_micro_step:.2f} samples packed" if cfg.sample_packing else ""
    if not int(os.environ.get("LOCAL_RANK", "0")):
        logger.info(
            f"effective batch size {wanted} ({reason}): {derived * a_micro_step:.1f} "
            f"= {factors(micro, ranks)}{packed} x {derived} "
            f"(gradient_accumulation_steps, derived); {total} steps"
        )
        if a_micro_step > 1.25 * int(wanted):
            logger.warning(
                f"one micro step already has {a_micro_step:.1f} samples, more "
                f"than the effective batch size {wanted}; lower micro_batch_size or "
                "sequence_len"
            )
    return loaded
