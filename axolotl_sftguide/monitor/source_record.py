"""The loss by source of one run: its logs, its events in the trace, its end."""

from __future__ import annotations

from collections.abc import Callable
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

_FEW = 0.01
"""Share of tokens that may be of unknown source without a warning."""

Write = Callable[[str, SourceLosses], None]


class SourceRecord:
    """Reads a `SourceMeter`, and passes on what it has measured.

    Args:
        meter: The meter, not attached yet.
        write: Writes an event of some losses into the trace.
        warn: Called with one line about something that the user should know.
    """

    def __init__(
        self, meter: SourceMeter, write: Write, warn: Callable[[str], None]
    ) -> None:
        self._meter = meter
        self._write = write
        self._warn = warn
        self._looked = False
        self._evaluations: list[SourceLosses] = []

    def attach(self) -> None:
        """Attach the meter."""
        self._meter.attach()

    def log(self, logs: dict[str, Any]) -> None:
        """Record what was measured since the last log, and add its keys to this one.

        The summary at the end of a training gets no keys. Collective: if several ranks
        train, every rank logs at the same place.
        """
        # Only the host's own logs: a user's may be written by one rank alone.
        if "train_runtime" in logs:
            self._training()
        elif "loss" in logs:
            logs.update(_keys("sftguide/loss", self._training()))
        elif any(key.endswith("_runtime") for key in logs):
            logs.update(_keys("eval_sftguide/loss", self._evaluation()))

    def end(self, *, alone: bool) -> None:
        """Detach the meter.

        Args:
            alone: Whether this is the only rank, which then also records the steps
                since the last log.
        """
        if alone:
            self._training()
        self._meter.detach()

    def report(self) -> str | None:
        """Which sources no longer improve while others do; None if all are alike."""
        return sources_apart(held_out(self._evaluations))

    def _training(self) -> SourceLosses | None:
        found = self._meter.take()
        if found is None:
            return None
        tokens = found.unknown_tokens + sum(found.tokens.values())
        if not self._looked and found.unknown_tokens > _FEW * tokens:
            self._warn(notices.unknown_sources(found.unknown_tokens / tokens))
        self._looked = True
        if found.loss:
            self._write(TRAINING_EVENT, found)
        return found

    def _evaluation(self) -> SourceLosses | None:
        found = self._meter.take_evaluation()
        if found is not None:
            self._write(HELD_OUT_EVENT, found)
            self._evaluations.append(found)
        return found


class NoSources:
    """Stands in for the record where the loss by source is not measured."""

    def attach(self) -> None:
        """Do nothing."""

    def log(self, logs: dict[str, Any]) -> None:
        """Add nothing."""

    def end(self, *, alone: bool) -> None:
        """Do nothing."""

    def report(self) -> str | None:
        """Nothing."""
        return None


def _keys(prefix: str, losses: SourceLosses | None) -> dict[str, float]:
    if losses is None:
        return {}
    return {f"{prefix}/{name}": loss for name, loss in losses.loss.items()}


def as_event(losses: SourceLosses) -> dict[str, Any]:
    """The values of an event in the trace."""
    return {
        "step": losses.step,
        "loss": dict(losses.loss),
        "tokens": dict(losses.tokens),
        "unknown_tokens": losses.unknown_tokens,
    }
