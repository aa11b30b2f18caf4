"""Keeps a stopped run off the hub."""

from __future__ import annotations

import logging
from typing import Any

from ..monitor import notices
from ..monitor.wrapping import MethodWraps

logger = logging.getLogger(__name__)


class HubPush:
    """Turns pushing off while a stopped training ends, and gives the setting back.

    The trainer's arguments are its user's. They are changed for the rest of the
    training; after it, calls of `push_to_hub` are refused until the next training.
    """

    def __init__(self) -> None:
        self._set: bool | None = None
        self._refused = MethodWraps()

    def stop(self, args: Any) -> None:
        """Turn pushing off for the rest of the training."""
        if self._set is None:
            self._set, args.push_to_hub = args.push_to_hub, False

    def end(self, trainer: Any) -> None:
        """Give the setting back at the end of the training."""
        if self._set:
            self._refused.wrap(trainer, "push_to_hub", _refuse)
        self._give_back(trainer.args)

    def begin(self, trainer: Any) -> None:
        """Allow pushing again, for the next training."""
        self._refused.undo()
        self._give_back(trainer.args)

    def _give_back(self, args: Any) -> None:
        if self._set is not None:
            args.push_to_hub, self._set = self._set, None


def _refuse(original: Any, *args: Any, **kwargs: Any) -> None:
    logger.warning(notices.not_pushed())
