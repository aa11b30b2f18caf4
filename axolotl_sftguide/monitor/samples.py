"""How many rows of the training data each optimizer step took.

A sample is a row of the training data. A batch may hold more rows than that: a trainer
of preferences puts the chosen and the rejected answer of a pair below each other. The
first step is therefore compared with the trainer's own batch size and epoch.
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

    rows_per_micro_batch: int
    """Rows of the training data in a micro batch on one rank."""
    data_parallel_share: float
    """The share of the ranks that get different rows."""
    dataset_rows: int | None
    """None for a stream."""
    packed: bool
    """Whether a row of a batch may hold several samples."""

    @classmethod
    def of(cls, trainer: Any) -> HostBatch:
        """What a trainer says."""
        args = trainer.args
        parallelism = getattr(trainer.accelerator, "parallelism_config", None)
        sharing = getattr(parallelism, "non_data_parallel_size", 1)
        return cls(
            getattr(trainer, "_train_batch_size", None) or args.train_batch_size,
            1 / max(1, sharing),
            row_count(getattr(trainer, "train_dataset", None)),
            bool(getattr(args, "packing", False))
            or bool(getattr(args, "sample_packing", False)),
        )


def row_count(dataset: Any) -> int | None:
    """The rows of a dataset; None for a stream and for no dataset."""
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
        self._compared = False
        self._rows_per_sample = 1
        self._by_epoch = False
        self.difference: str | None = None
        """What the comparison found, to report once; None if the counts agree."""

    def of(self, step: CapturedStep) -> int | None:
        """The samples of one step over all ranks; None if unknown."""
        if step.samples is None or self._by_epoch:
            return None
        if not self._compared:
            self._compared = True
            self._compare(step, step.samples)
        return None if self._by_epoch else step.samples // self._rows_per_sample

    def after(self, step: CapturedStep) -> int | None:
        """Samples seen after a step by the trainer's epoch; None for a stream."""
        rows = self._host.dataset_rows
        if rows is None or step.epoch is None:
            return None
        return round(step.epoch * rows)

    def _compare(self, step: CapturedStep, counted: int) -> None:
        whole = round(
            self._host.rows_per_micro_batch
            * step.micro_batches
            * self._host.data_parallel_share
        )
        taken = self._taken(step)
        packed = self._host.packed or (step.rows == whole and counted != whole)
        # The first batch of a short stream or dataset may not be full.
        if packed or counted in (whole, taken) or (taken is None and counted < whole):
            return
        for expected in (whole, taken):
            if expected and counted % expected == 0:
                self._rows_per_sample = counted // expected
                self.difference = notices.several_rows(self._rows_per_sample)
                return
        self._by_epoch = True
        self.difference = notices.samples_differ(counted, taken or whole)

    def _taken(self, step: CapturedStep) -> int | None:
        """Rows of the training data in the first step, by the trainer's epoch."""
        rows = self._host.dataset_rows
        if rows is None or step.epoch is None:
            return None
        return round((step.epoch - self._epoch_before) * rows)
