"""The recorder of all ranks but the first, which records nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..runs.history import Decision, Score, Status
from ..signals import Observation


class NoRecorder:
    """Stands in for the recorder on all ranks but the first."""

    history = None

    def steps(
        self, observations: Sequence[Observation], *, step_s: float | None = None
    ) -> None:
        """Record nothing."""

    def decision(self, decision: Decision) -> None:
        """Record nothing."""

    def score(self, score: Score) -> None:
        """Record nothing."""

    def evaluation(self, step: int, metrics: dict[str, float]) -> None:
        """Record nothing."""

    def event(self, name: str, **values: Any) -> None:
        """Record nothing."""

    def norm_check(self, **found: Any) -> None:
        """Record nothing."""

    def end(self, status: Status, reason: str | None = None) -> None:
        """Record nothing."""
