"""A recorder that also tells somebody else what happens in a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..runs.history import Decision, Score, Status
from ..signals import Observation
from .recorder import RunRecorder


class RunListener(Protocol):
    """Is told what happens in a run. It must not raise: it is called by the run."""

    def began(self, run: Mapping[str, Any]) -> None:
        """The first steps were recorded."""

    def decided(self, decision: Decision) -> None:
        """A rule has decided."""

    def scored(self, score: Score) -> None:
        """The model was scored."""

    def ended(self, status: Status, reason: str | None) -> None:
        """The run has ended; the host's callbacks may have ended before."""


class AnnouncingRecorder(RunRecorder):
    """A recorder that may have a listener.

    Args:
        run: The first line of the trace.
        listener: Who is told. Of the begin it hears with the first steps, because
            some of the trainer's callbacks begin after the run was opened.
        **recorder: The other arguments of `RunRecorder`.
    """

    def __init__(
        self, run: dict[str, Any], *, listener: RunListener | None, **recorder: Any
    ) -> None:
        self._run = run
        self._listener = listener
        self._told = False
        super().__init__(run, **recorder)

    def steps(
        self, observations: Sequence[Observation], *, step_s: float | None = None
    ) -> None:
        """Append optimizer steps, and announce the begin once."""
        super().steps(observations, step_s=step_s)
        if self._listener is not None and not self._told:
            self._told = True
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
