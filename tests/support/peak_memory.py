"""The peak of the tensors that are alive, counted on the device they are on."""

from __future__ import annotations

import gc
from typing import Any

import torch

from axolotl_sftguide.hosts.simulation._peak import PeakBytes


class PeakMemory(PeakBytes):
    """Counts the bytes of all storages that operations make while it is entered.

    Args:
        collect: Whether to free what only cycles hold before a new peak counts.
    """

    def __init__(self, *, collect: bool = False) -> None:
        super().__init__()
        self._collect = collect

    def known(self, tensors: Any) -> None:
        """Leave out what was there before it was entered."""
        for tensor in tensors:
            self._seen.add(tensor.untyped_storage()._cdata)

    def count(self, tensor: torch.Tensor) -> None:
        """Count a tensor's storage once, for as long as it is alive."""
        storage = tensor.untyped_storage()
        new = storage._cdata not in self._seen
        if self._collect and new and self.now + storage.nbytes() > self.peak:
            gc.collect()
        super().count(tensor)
