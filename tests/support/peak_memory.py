"""The peak of the tensors that are alive, counted on the device they are on."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of all storages that operations make while it is entered.

    Args:
        collect: Whether to free what only cycles hold before a new peak counts.
    """

    def __init__(self, *, collect: bool = False) -> None:
        super().__init__()
        self._collect = collect
        self.now = 0
        self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self._count(leaf.untyped_storage())
        return made

    def known(self, tensors: Any) -> None:
        """Leave out what was there before it was entered."""
        for tensor in tensors:
            self._seen.add(tensor.untyped_storage()._cdata)

    def _count(self, storage: Any) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        self._seen.add(key)
        size = storage.nbytes()
        self.now += size
        weakref.finalize(storage, self._gone, key, size)
        if self._collect and self.now > self.peak:
            gc.collect()
        self.peak = max(self.peak, self.now)

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size
