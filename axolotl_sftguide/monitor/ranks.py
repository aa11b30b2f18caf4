"""What several ranks tell each other, so that none waits for one that has left.

Each method is collective: every rank calls it at the same place, whatever has gone
wrong in this package on that rank. One rank alone needs no word.
"""

from __future__ import annotations

from typing import Any

import torch


class Ranks:
    """The ranks of one trainer."""

    def __init__(self, trainer: Any) -> None:
        self.count: int = trainer.args.world_size
        self._device = trainer.args.device

    def all_well(self, well: bool, pending: int = 0) -> bool:
        """Whether all are well, and have the same number of steps to tell of."""
        if self.count == 1:
            return well
        told = torch.tensor(
            [float(well), float(pending), float(-pending)], device=self._device
        )
        torch.distributed.all_reduce(told, op=torch.distributed.ReduceOp.MIN)
        all_are, fewest, most = told.tolist()
        return bool(all_are) and fewest == -most

    def any_wants(self, wanted: bool) -> bool:
        """Whether any rank wants it."""
        if self.count == 1:
            return wanted
        told = torch.tensor(float(wanted), device=self._device)
        torch.distributed.all_reduce(told, op=torch.distributed.ReduceOp.MAX)
        return bool(told.item())

    def total(self, table: torch.Tensor) -> torch.Tensor:
        """The sum over the ranks."""
        torch.distributed.all_reduce(table)
        return table
