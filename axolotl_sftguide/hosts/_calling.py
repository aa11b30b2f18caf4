"""The trainer that calls a callback, and the callbacks it has."""

from __future__ import annotations

import sys
from typing import Any

from transformers import Trainer

from ..monitor.session import Session


def calling_trainer() -> Any:
    """The trainer whose event is being handled.

    transformers does not pass the trainer to its callbacks (huggingface/transformers
    issue 38181). It is two or three frames up, as `self` of the method that fires the
    event.
    """
    frame = sys._getframe(1)
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, Trainer):
            return candidate
        frame = frame.f_back  # type: ignore[assignment]
    raise RuntimeError("this callback was called outside of a transformers Trainer")


def find_callback(trainer: Any, kind: type) -> Any:
    """The first callback of a kind, or None."""
    callbacks = trainer.callback_handler.callbacks
    return next((c for c in callbacks if isinstance(c, kind)), None)


def session_of(trainer: Any) -> Session | None:
    """The session of the training that runs now, or None."""
    callbacks = trainer.callback_handler.callbacks
    sessions = (getattr(callback, "session", None) for callback in callbacks)
    return next((s for s in sessions if isinstance(s, Session)), None)
