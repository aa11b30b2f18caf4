"""Collectives that keep the ranks of a trainer in step, also when one of them fails.

Every rank calls each method at the same place, even if this package has failed on that
rank. With one rank nothing is communicated.
"""

from __future__ import annotations

from typing import Any

import torch


class Ranks:
    """The ranks of one trainer."""

    def __init__(self, trainer: Any) -> None:
        self.count: int = trainer.args.world_size
        self.main: bool = trainer.state.is_world_process_zero
        """Whether this is the rank that records and reports."""
        self._device = trainer.args.device

    def all_ready(self, ready: bool, pending: int = 0) -> bool:
        """Whether all ranks are ready and have the same number of pending steps."""
        if self.count == 1:
            return ready
        lowest = torch.tensor(
            [float(ready), float(pending), float(-pending)], device=self._device
        )
        torch.distributed.all_reduce(lowest, op=torch.distributed.ReduceOp.MIN)
        all_are, fewest, most = lowest.tolist()
        return bool(all_are) and fewest == -most

    def any(self, wanted: bool) -> bool:
        """Whether the flag is set on any rank."""
        if self.count == 1:
            return wanted
        highest = torch.tensor(float(wanted), device=self._device)
        torch.distributed.all_reduce(highest, op=torch.distributed.ReduceOp.MAX)
        return bool(highest.item())

    def total(self, table: torch.Tensor) -> torch.Tensor:
        """The sum over the ranks."""
        torch.distributed.all_reduce(table)
        return table
