"""Seconds per optimizer step, without evaluations and saves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Pace:
    """The mean time from the end of one optimizer step to the end of the next.

    Args:
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._since: float | None = None
        self._steps = 0
        self._seconds = 0.0

    def step(self) -> None:
        """Note the end of an optimizer step."""
        now = self._clock()
        if self._since is not None:
            self._steps += 1
            self._seconds += now - self._since
        self._since = now

    def interrupt(self) -> None:
        """Leave out the time until the end of the next step."""
        self._since = None

    @property
    def step_s(self) -> float | None:
        """Mean seconds per step; None before two consecutive steps."""
        return self._seconds / self._steps if self._steps else None


def device_name(device: Any) -> str:
    """The GPU's name, or the device type if it is not a GPU."""
    if device.type != "cuda":
        return str(device.type)
    import torch

    return str(torch.cuda.get_device_name(device))
