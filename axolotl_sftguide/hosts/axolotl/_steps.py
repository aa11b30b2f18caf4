"""Optimizer steps of a run, counted by Axolotl itself on the prepared rows."""

from __future__ import annotations

import tempfile
from typing import Any

from ...evidence.effective_batch import accumulation, choose, nearest_accumulation


def count_steps(
    cfg: Any, data: Any, micro: int, accumulated: int, ranks: int, **changed: Any
) -> int:
    """Steps for the data with this accumulation, which is left in the config.

    Random generators keep their state.

    Args:
        cfg: Axolotl's config, after its validation.
        data: The training rows, prepared.
        micro: Rows of a micro batch.
        accumulated: Micro batches per step.
        ranks: Number of data-parallel ranks.
        changed: Other values for keys of the config, for this count alone.
    """
    import torch
    from axolotl.utils.trainer import calculate_total_num_steps

    cfg.micro_batch_size = micro
    cfg.gradient_accumulation_steps = accumulated
    cfg.batch_size = micro * accumulated * ranks
    cfg.sample_packing_eff_est = None
    kept = {key: cfg.get(key) for key in changed}
    cfg.update(changed)
    with torch.random.fork_rng():
        found = calculate_total_num_steps(cfg, data)
    cfg.update(kept)
    return int(found)


def samples_of_a_micro_step(cfg: Any, data: Any, micro: int, ranks: int) -> float:
    """Samples of a micro batch on all ranks; with packing a mean."""
    if not cfg.sample_packing:
        return micro * ranks
    whole = {"num_epochs": 1, "dataloader_drop_last": False}
    return len(data) / max(1, count_steps(cfg, data, micro, 1, ranks, **whole))


class PreparedRun:
    """The rows that a run trains on, after Axolotl dropped and split off others."""

    def __init__(self, cfg: Any, tokenizer: Any) -> None:
        from axolotl.utils.data import prepare_datasets

        # Rows are read from this folder; it is deleted with the object.
        self._folder = tempfile.TemporaryDirectory(prefix="sftguide-")
        self._cfg = cfg
        cfg.dataset_prepared_path = self._folder.name
        self._data, _, _, _ = prepare_datasets(cfg, tokenizer)
        self.rows = len(self._data)
        self.tokens = int(cfg.total_num_tokens or 0)

    def steps(self, micro: int, accumulated: int, ranks: int = 1) -> int:
        """Optimizer steps of the whole run, as the training will make them."""
        if self._cfg.max_steps:
            return int(self._cfg.max_steps)
        return count_steps(self._cfg, self._data, micro, accumulated, ranks)

    def row_tokens(self, ranks: int = 1) -> float:
        """Mean tokens of a row; with packing also its share of the padding."""
        cfg = self._cfg
        if not cfg.sample_packing:
            return max(1.0, self.tokens / max(1, self.rows))
        micro = int(cfg.micro_batch_size)
        each = samples_of_a_micro_step(cfg, self._data, micro, ranks)
        return float(cfg.sequence_len * micro * ranks / each)

    def steps_as_set(self, wanted: int | str | None, ranks: int = 1) -> int:
        """Steps with the micro batch of the config.

        Args:
            wanted: The value of `sftguide.effective_batch_size`.
            ranks: Number of data-parallel ranks.
        """
        cfg, micro = self._cfg, int(self._cfg.micro_batch_size)
        if wanted == "auto":
            wanted = choose(self.rows, "adapter" if cfg.adapter else "full").samples
        accumulated = int(cfg.gradient_accumulation_steps)
        if isinstance(wanted, int) and not cfg.sample_packing:
            accumulated = accumulation(wanted, micro, ranks)
        elif isinstance(wanted, int):
            each = samples_of_a_micro_step(cfg, self._data, micro, ranks)
            accumulated = nearest_accumulation(wanted, each)
        return self.steps(micro, accumulated, ranks)
