"""The loss by source of one run: its logs, its events in the trace, its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..signals.sources import (
    HELD_OUT_EVENT,
    TRAINING_EVENT,
    SourceLosses,
    held_out,
    sources_apart,
)
from . import notices
from .source_meter import SourceMeter

logger = logging.getLogger(__name__)

_FEW = 0.01
"""Share of tokens that may be of unknown source without a warning."""

Write = Callable[[str, SourceLosses], None]


class SourceRecord:
    """Reads a `SourceMeter`, and passes on what it has measured.

    Args:
        meter: The meter, not attached yet.
        write: Writes an event of some losses into the trace.
    """

    def __init__(self, meter: SourceMeter, write: Write) -> None:
        self._meter = meter
        self._write = write
        self._first = True
        self._evaluations: list[SourceLosses] = []

    def attach(self) -> None:
        """Attach the meter."""
        self._meter.attach()

    def detach(self) -> None:
        """Detach the meter."""
        self._meter.detach()

    def logs(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """Record what was measured since the last call, for a log of the host.

        Collective: if several ranks train, every rank logs at the same place.

        Args:
            logs: The host's log, which shows whether it is of training.

        Returns:
            Keys to add to it.
        """
        # Only the host's own logs: a user's may be written by one rank alone.
        if "loss" in logs or "train_runtime" in logs:
            return self._log("sftguide/loss", TRAINING_EVENT)
        if any(key.endswith("_runtime") for key in logs):
            return self._log("eval_sftguide/loss", HELD_OUT_EVENT)
        return {}

    def _log(self, prefix: str, event: str) -> dict[str, float]:
        held_out_part = event == HELD_OUT_EVENT
        take = self._meter.take_evaluation if held_out_part else self._meter.take
        found = take()
        if found is None:
            return {}
        self._warn_of_unknown(found)
        if not found.loss:
            return {}
        self._write(event, found)
        if held_out_part:
            self._evaluations.append(found)
        return {f"{prefix}/{name}": loss for name, loss in found.loss.items()}

    def _warn_of_unknown(self, found: SourceLosses) -> None:
        first, self._first = self._first, False
        tokens = found.unknown_tokens + sum(found.tokens.values())
        if first and found.unknown_tokens > _FEW * tokens:
            logger.warning(notices.unknown_sources(found.unknown_tokens / tokens))

    def report(self) -> str | None:
        """Which sources no longer improve while others do; None if all are alike."""
        return sources_apart(held_out(self._evaluations))


def as_event(losses: SourceLosses) -> dict[str, Any]:
    """The values of an event in the trace."""
    return {
        "step": losses.step,
        "loss": dict(losses.loss),
        "tokens": dict(losses.tokens),
        "unknown_tokens": losses.unknown_tokens,
    }
