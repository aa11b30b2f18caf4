"""A recorder that also notifies a listener of the events of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..runs.history import Decision, Score, Status
from ..signals import Observation
from .recorder import RunRecorder


class RunListener(Protocol):
    """Receives the events of a run, which calls its methods: they must not raise."""

    def began(self, run: Mapping[str, Any]) -> None:
        """Called when the first steps have been recorded."""

    def decided(self, decision: Decision) -> None:
        """Called when a rule warns, stops or parks the run."""

    def scored(self, score: Score) -> None:
        """Called when the model has been scored."""

    def ended(self, status: Status, reason: str | None) -> None:
        """Called when the run has ended, perhaps after the host's callbacks."""


class AnnouncingRecorder(RunRecorder):
    """A recorder that notifies a listener, if there is one.

    Args:
        run: The first line of the trace.
        listener: Receives the events. `began` is called with the first steps, because
            some of the trainer's callbacks start after the run was opened.
        **recorder: The other arguments of `RunRecorder`.
    """

    def __init__(
        self, run: dict[str, Any], *, listener: RunListener | None, **recorder: Any
    ) -> None:
        self._run = run
        self._listener = listener
        self._announced = False
        super().__init__(run, **recorder)

    def steps(
        self, observations: Sequence[Observation], *, step_s: float | None = None
    ) -> None:
        """Append optimizer steps; the first time, announce that the run began."""
        super().steps(observations, step_s=step_s)
        if self._listener is not None and not self._announced:
            self._announced = True
            self._listener.began(self._run)

    def decision(self, decision: Decision) -> None:
        """Record and announce what a rule decided."""
        super().decision(decision)
        if self._listener is not None:
            self._listener.decided(decision)

    def score(self, score: Score) -> None:
        """Record and announce a score."""
        super().score(score)
        if self._listener is not None:
            self._listener.scored(score)

    def end(self, status: Status, reason: str | None = None) -> None:
        """Record and announce how the run ended."""
        super().end(status, reason)
        if self._listener is not None:
            self._listener.ended(status, reason)
