"""How many rows of the training data each optimizer step took.

A sample is a row of the training data. A batch may hold more rows than that: a trainer
of preferences puts the chosen and the rejected answer of a pair below each other. The
first step is therefore compared with the trainer's own batches and epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import notices

if TYPE_CHECKING:
    from .readout import CapturedStep


@dataclass(frozen=True)
class HostBatch:
    """What the trainer itself says of its batches."""

    rows_per_micro_batch: int | None
    """Rows of the training data in a micro batch on one rank; None if they differ."""
    data_parallel_share: float
    """The share of the ranks that get different rows."""
    dataset_rows: int | None
    """None for a stream."""
    packed: bool
    """Whether a row of a batch may hold several samples."""
    ranks: int = 1
    batches_per_epoch: int | None = None
    """Micro batches of an epoch on one rank; None for a stream."""

    @classmethod
    def of(cls, trainer: Any) -> HostBatch:
        """What a trainer says."""
        args = trainer.args
        parallelism = getattr(trainer.accelerator, "parallelism_config", None)
        sharing = getattr(parallelism, "non_data_parallel_size", 1)
        loader = getattr(trainer.callback_handler, "train_dataloader", None)
        arguments = getattr(trainer, "_train_batch_size", None) or args.train_batch_size
        return cls(
            arguments if loader is None else _rows_of_batches(loader),
            1 / max(1, sharing),
            row_count(getattr(trainer, "train_dataset", None)),
            bool(getattr(args, "packing", False))
            or bool(getattr(args, "sample_packing", False)),
            args.world_size,
            None if loader is None else row_count(loader),
        )

    def rows_in(self, micro_batches: int) -> int | None:
        """The rows of full micro batches over all ranks; None if they differ."""
        if self.rows_per_micro_batch is None:
            return None
        return round(
            self.rows_per_micro_batch * micro_batches * self.data_parallel_share
        )

    @property
    def is_regular(self) -> bool:
        """Whether an epoch is each row once, in batches of one size but the last."""
        rows, batches = self.dataset_rows, self.batches_per_epoch
        size = self.rows_in(self.ranks)
        if not rows or not batches or not size:
            return False
        return batches in (rows // size, -(-rows // size))

    def rows_until(self, epoch: float) -> int | None:
        """The rows taken until an epoch, exact if it is regular; None for a stream."""
        rows, batches = self.dataset_rows, self.batches_per_epoch
        if rows is None:
            return None
        size = self.rows_in(self.ranks)
        if not self.is_regular or not batches or not size:
            return round(epoch * rows)
        in_epoch = min(rows, batches * size)
        epochs, more = divmod(round(epoch * batches), batches)
        return epochs * in_epoch + min(more * size, in_epoch)

    def ends_a_batch(self, epoch: float) -> bool:
        """Whether an epoch is that after a whole number of today's batches."""
        batches = epoch * (self.batches_per_epoch or 0)
        return abs(batches - round(batches)) < _ROUNDING


_ROUNDING = 1e-6


def _rows_of_batches(loader: Any) -> int | None:
    """Rows of one micro batch on this rank, by the trainer's own data loader."""
    sampler = getattr(loader, "batch_sampler", None)
    size = getattr(sampler, "batch_size", None)
    if not isinstance(size, int):  # a sampler of the user, such as one by tokens
        return None
    split = getattr(sampler, "split_batches", False)
    return size // getattr(sampler, "num_processes", 1) if split else size


def row_count(dataset: Any) -> int | None:
    """The length of a dataset or a data loader; None for a stream and for none."""
    try:
        return len(dataset)
    except TypeError:
        return None


class SampleCount:
    """Samples of each step, after a comparison with the trainer at the first one.

    Args:
        host: What the trainer says of its batches.
        epoch: Its epoch before the first step.
    """

    def __init__(self, host: HostBatch, epoch: float) -> None:
        self._host = host
        self._epoch_before = epoch
        self._resumed = epoch > 0
        self._compared = False
        self._rows_per_sample = 1
        self._by_epoch = False
        self.difference: str | None = None
        """What the comparison found, to report once; None if the counts agree."""

    def of(self, step: CapturedStep) -> int | None:
        """The samples of one step over all ranks; None if unknown."""
        if step.samples is not None and not self._compared:
            self._compared = True
            self._compare(step, step.samples)
        self._epoch_before = step.epoch or 0.0
        if step.samples is None or self._by_epoch:
            return None
        return step.samples // self._rows_per_sample

    def after(self, step: CapturedStep) -> int | None:
        """Samples seen after a step by the trainer's epoch; None for a stream."""
        return None if step.epoch is None else self._host.rows_until(step.epoch)

    def _compare(self, step: CapturedStep, counted: int) -> None:
        whole = self._host.rows_in(step.micro_batches)
        # Batches whose sizes differ do not show how many rows a sample has.
        if self._host.packed or whole is None:
            return
        taken = self._taken(step)
        if step.rows == whole and counted != whole:  # packed, whatever the arguments
            return
        if counted == whole and (self._resumed or taken is None or whole <= taken):
            return
        # The first batch of a short stream or dataset may not be full.
        if counted == taken or (taken is None and counted < whole):
            return
        for expected in (taken, whole):
            if expected and counted % expected == 0:
                self._rows_per_sample = counted // expected
                self.difference = notices.several_rows(self._rows_per_sample)
                return
        self._by_epoch = True
        self.difference = notices.samples_differ(counted, taken or whole)

    def _taken(self, step: CapturedStep) -> int | None:
        """Rows of the training data in the step, by the trainer's epoch."""
        host, before = self._host, self._epoch_before
        if step.epoch is None or not host.is_regular:
            return None
        if not host.ends_a_batch(before):
            return None  # resumed with batches of another size
        until, since = host.rows_until(step.epoch), host.rows_until(before)
        if until is None or since is None or until <= since:
            return None  # resumed without skipping rows
        return until - since
