"""Judges that stop a run, or fail, to be put into a session by a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from axolotl_sftguide.signals import Observation
from axolotl_sftguide.stopping.judge import Finding
from axolotl_sftguide.stopping.rules import Verdict


class StopJudge:
    """Stops the run at the next log."""

    def step(
        self, state: Any, window: Sequence[Observation]
    ) -> tuple[Any, tuple[Finding, ...]]:
        last = window[-1]
        verdict = Verdict("planted", "planted", last.step, last.samples_seen, last.step)
        return state, (Finding(verdict, "stop"),)


class BrokenJudge:
    """Fails at the next log."""

    def step(self, state: Any, window: Sequence[Observation]) -> Any:
        raise ZeroDivisionError("planted")
