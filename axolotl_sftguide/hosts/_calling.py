"""The trainer that calls a callback, and the callbacks it has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from transformers import Trainer

from ..monitor.session import Session


def calling_trainer(default: Any = None) -> Any:
    """The trainer whose event is being handled.

    transformers does not pass the trainer to its callbacks (huggingface/transformers
    issue 38181). It is two or three frames up, as `self` of the method that fires the
    event.

    Args:
        default: The trainer if no frame has one.

    Raises:
        RuntimeError: If there is neither.
    """
    for _, trainer in _trainer_frames():
        return trainer
    if default is None:
        raise RuntimeError("this callback was called outside of a transformers Trainer")
    return default


def resumed_checkpoint(trainer: Any) -> str | None:
    """The checkpoint folder that the calling training resumes from, if any."""
    for frame, owner in _trainer_frames():
        found = frame.f_locals.get("resume_from_checkpoint")
        if owner is trainer and isinstance(found, str):
            return found
    return None


def saved_checkpoint(trainer: Any) -> str:
    """The checkpoint folder that a trainer saves at its current step."""
    folder = trainer._get_output_dir(trial=getattr(trainer, "_trial", None))
    return f"{folder}/checkpoint-{trainer.state.global_step}"


def find_callback(trainer: Any, kind: type) -> Any:
    """The first callback of a kind, or None."""
    callbacks = trainer.callback_handler.callbacks
    return next((c for c in callbacks if isinstance(c, kind)), None)


def session_of(trainer: Any) -> Session | None:
    """The session of the training that runs now, or None."""
    callbacks = trainer.callback_handler.callbacks
    sessions = (getattr(callback, "session", None) for callback in callbacks)
    return next((s for s in sessions if isinstance(s, Session)), None)


def _trainer_frames() -> Iterator[tuple[FrameType, Any]]:
    """The frames of a trainer's methods, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, Trainer):
            yield frame, candidate
        frame = frame.f_back
