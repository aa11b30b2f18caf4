"""Gradient accumulation from the samples that a step shall hold."""

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
    refuse_more_than_there_are,
)

logger = logging.getLogger(__name__)


def accumulate_before_data(cfg: Any, wanted: int | str) -> None:
    """The accumulation, where it does not depend on the data.

    Raises:
        SettingsError: Where the batch cannot be had, or is asked for in another way.
    """
    if cfg.get("batch_size"):
        message = f"and {KEY} are both there"
        raise SettingsError([Problem("batch_size", message, "keep the latter")])
    if cfg.get("rl") or cfg.get("pretraining_dataset") or cfg.get("streaming"):
        message = "is for SFT on data that are read before the first step"
        raise SettingsError([Problem(KEY, message, "remove it")])
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
                    f"is derived from {KEY}, and {given} is given",
                    "remove one of them",
                )
            ]
        )
    cfg["gradient_accumulation_steps"] = derived


def tell(cfg: Any, wanted: int | str, trainer: Any) -> None:
    """Print what a step is made of, where it was not told with the data.

    Raises:
        SettingsError: Where it would hold more samples than the data.
    """
    if cfg.sample_packing or wanted == "auto":
        return
    refuse_more_than_there_are(int(wanted), len(trainer.train_dataset))
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
    """The prepared data, and the accumulation that they need; the same on all ranks."""
    import torch
    from axolotl.common.datasets import load_datasets
    from axolotl.utils.distributed import reduce_and_broadcast
    from axolotl.utils.trainer import calculate_total_num_steps

    loaded = load_datasets(cfg=cfg)
    data = loaded.train_dataset
    rows, micro = len(data), cfg.micro_batch_size
    ranks = cfg.batch_size // (micro * cfg.gradient_accumulation_steps)
    because = "as asked for"
    if wanted == "auto":
        choice = choose(rows, "adapter" if cfg.adapter else "full")
        because = f"{rows} rows: {CLAIMS[choice.because[0]].reference}"
        wanted = choice.samples
    refuse_more_than_there_are(int(wanted), rows)

    def steps(accumulated: int, **changed: Any) -> int:
        """Optimizer steps of the data, with the generators left as they were."""
        cfg.gradient_accumulation_steps = accumulated
        cfg.batch_size = micro * accumulated * ranks
        cfg.sample_packing_eff_est = None
        kept = {key: cfg.get(key) for key in changed}
        cfg.update(changed)
        with torch.random.fork_rng():
            found = calculate_total_num_steps(cfg, data)
        cfg.update(kept)
        return int(found)

    a_micro_step: float = micro * ranks
    if cfg.sample_packing:
        a_micro_step = rows / steps(1, num_epochs=1, dataloader_drop_last=False)
    derived = nearest_accumulation(int(wanted), a_micro_step)
    derived = int(reduce_and_broadcast(lambda: float(derived), max))
    total = steps(derived)
    loaded.total_num_steps = min(total, cfg.max_steps) if cfg.max_steps else total
    if "ACCELERATE_GRADIENT_ACCUMULATION_STEPS" in os.environ:
        os.environ["ACCELERATE_GRADIENT_ACCUMULATION_STEPS"] = str(derived)
    packed = f", {a_micro_step:.2f} samples packed" if cfg.sample_packing else ""
    if not int(os.environ.get("LOCAL_RANK", "0")):
        logger.info(
            f"effective batch size {wanted} ({because}): {derived * a_micro_step:.1f} "
            f"= {factors(micro, ranks)}{packed} x {derived} "
            f"(gradient_accumulation_steps, derived); {total} steps"
        )
        if a_micro_step > 1.25 * int(wanted):
            logger.warning(
                f"a micro step alone holds {a_micro_step:.1f} samples, and "
                f"{wanted} are wanted; lower micro_batch_size or sequence_len"
            )
    return loaded
