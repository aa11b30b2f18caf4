"""Warnings, stops and scores in the experiment trackers that the trainer reports to.

The trainer itself sends the `sftguide/...` keys of its logs. What is no series of
numbers is sent from here: which run of the history this is, a rule's warning or stop
with its reason, the score, and how the run ended.

_facts          what is sent, as plain values
_adapters       how each tracker takes it
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ...config.settings import Settings
from ...runs.history import Decision, Score, Status
from . import _facts
from ._adapters import Tracker, tracker_of

logger = logging.getLogger(__name__)


class Trackers:
    """Sends what happens in a run to the trackers of its trainer.

    A tracker is used only if the trainer reports to it and has begun a run there; none
    is imported or begun here. One that fails is left out from then on.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._found: dict[int, Tracker | None] = {}
        self._warned: list[str] = []

    def began(self, run: Mapping[str, Any]) -> None:
        """Note which run of the history this is."""
        facts = _facts.of_run(run)
        self._tell(lambda tracker: tracker.note(facts))

    def decided(self, decision: Decision) -> None:
        """Send a warning or a stop."""
        state = self._trainer.state
        if decision.action == "warn":
            self._warned.append(f"{decision.rule} at step {decision.step}")
            facts = {"sftguide/warnings": "; ".join(self._warned)}
        else:
            facts = _facts.of_stop(decision, state.global_step, state.max_steps)
        alert = _facts.alert_of(decision, state.global_step)
        self._tell(lambda tracker: tracker.note(facts))
        self._tell(lambda tracker: tracker.alert(alert))

    def scored(self, score: Score) -> None:
        """Send a score."""
        numbers, step = _facts.of_score(score), self._trainer.state.global_step
        self._tell(lambda tracker: tracker.figures(numbers, step))

    def ended(self, status: Status, reason: str | None) -> None:
        """Note how the run ended, in trackers that take it after their run's end."""
        facts = _facts.of_end(status, reason)
        self._tell(lambda tracker: tracker.note(facts), ended=True)

    def _tell(self, what: Callable[[Tracker], None], *, ended: bool = False) -> None:
        for callback in list(self._trainer.callback_handler.callbacks):
            place = id(callback)
            if place not in self._found:
                self._found[place] = tracker_of(callback)
            tracker = self._found[place]
            if tracker is None or (ended and not tracker.outlasts_its_run):
                continue
            try:
                if tracker.is_open():
                    what(tracker)
            except Exception as error:
                self._found[place] = None
                logger.warning(
                    f"sftguide cannot write to {tracker.title} "
                    f"({type(error).__name__}: {error}); no more data of this run is "
                    "sent there. The training continues, and the run history is "
                    "complete"
                )
                logger.debug("traceback of the error", exc_info=True)


def trackers_of(trainer: Any, settings: Settings) -> Trackers | None:
    """The trackers of a trainer; None if the settings turn them off."""
    return Trackers(trainer) if settings.monitor.trackers else None
