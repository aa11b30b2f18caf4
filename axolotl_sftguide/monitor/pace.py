"""How long an optimizer step takes, without what comes between two of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Pace:
    """The mean time from the end of one optimizer step to the end of the next.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._since: float | None = None
        self._steps = 0
        self._seconds = 0.0

    def step(self) -> None:
        """An optimizer step has ended."""
        now = self._clock()
        if self._since is not None:
            self._steps += 1
            self._seconds += now - self._since
        self._since = now

    def interrupt(self) -> None:
        """Something else was done: the time until the next step's end counts not."""
        self._since = None

    @property
    def step_s(self) -> float | None:
        """Seconds; None before there are two steps in a row."""
        return self._seconds / self._steps if self._steps else None


def device_name(device: Any) -> str:
    """The card's name, or the kind of device where it is no card."""
    if device.type != "cuda":
        return str(device.type)
    import torch

    return str(torch.cuda.get_device_name(device))
