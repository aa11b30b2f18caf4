"""The longest rows first, so that a card that is too small says so at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

STEPS = 2
"""Optimizer steps made of them: the second has the optimizer's states beside it."""


class LongestFirst:
    """An order of rows: the longest ones, then the others as they would have come.

    The same on all ranks; nothing is drawn from a global generator.

    Args:
        lengths: Tokens of each row.
        first: How many come first.
        seed: Of the others' order; None keeps that of the data.
    """

    def __init__(self, lengths: list[int], first: int, seed: int | None) -> None:
        self._lengths = lengths
        self._first = min(first, len(lengths))
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Another order of the others in each pass."""
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
    """Have a trainer begin each pass with its longest rows.

    Args:
        trainer: A transformers `Trainer` whose dataset holds `input_ids`.

    Returns:
        Why it cannot be done, if it cannot.
    """
    from torch.utils.data import RandomSampler, SequentialSampler

    original = trainer._get_train_sampler
    sampler = original()
    if not isinstance(sampler, (RandomSampler, SequentialSampler)):
        return "packed rows are all of one length"
    data = trainer.train_dataset
    if "input_ids" not in data.column_names:
        return "the data hold no input_ids"
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
