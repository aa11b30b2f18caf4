"""Starts with the longest rows, so that an out-of-memory error appears early."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

STEPS = 2
"""Optimizer steps on the longest rows; from the second, optimizer states exist."""


class LongestFirst:
    """A sampler: the longest rows first, then the others in their usual order.

    The order is the same on all ranks; global random generators are not used.

    Args:
        lengths: Number of tokens of each row.
        first: How many of the longest rows come first.
        seed: Seed of the order of the others; None keeps the order of the data.
    """

    def __init__(self, lengths: list[int], first: int, seed: int | None) -> None:
        self._lengths = lengths
        self._first = min(first, len(lengths))
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Shuffle the others differently in each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        import torch

        count = len(self._lengths)
        by_length = sorted(range(count), key=lambda i: (-self._lengths[i], i))
        first = by_length[: self._first]
        order: list[int] = list(range(count))
        if self._seed is not None:
            generator = torch.Generator().manual_seed(self._seed + self._epoch)
            order = torch.randperm(count, generator=generator).tolist()
        taken = set(first)
        yield from first
        yield from (i for i in order if i not in taken)


def put_longest_first(trainer: Any) -> str | None:
    """Make a trainer start each epoch with its longest rows.

    Args:
        trainer: A transformers `Trainer` whose dataset has `input_ids`.

    Returns:
        The reason if this is not possible, else None.
    """
    from torch.utils.data import RandomSampler, SequentialSampler

    from ...monitor.samples import row_count

    original = trainer._get_train_sampler
    if row_count(trainer.train_dataset) is None:
        return "a stream has no rows to sort"
    sampler = original()
    if not isinstance(sampler, (RandomSampler, SequentialSampler)):
        return "packed rows all have the same length"
    data = trainer.train_dataset
    if "input_ids" not in data.column_names:
        return "the data have no input_ids"
    columns = data.select_columns(["input_ids"])
    lengths = [len(ids) for rows in columns.iter(1000) for ids in rows["input_ids"]]
    args = trainer.args
    micro_batches = args.gradient_accumulation_steps * args.world_size
    first = STEPS * micro_batches * args.per_device_train_batch_size
    seed = None
    if isinstance(sampler, RandomSampler):
        seed = args.seed if args.data_seed is None else args.data_seed
    trainer._get_train_sampler = lambda *_, **__: LongestFirst(lengths, first, seed)
    return None
