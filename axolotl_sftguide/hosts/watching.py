"""All callbacks of a trainer in one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from ..errors import Problem, SettingsError
from ._calling import find_callback
from .held_out_score import HeldOutScoreCallback
from .log_lines import LogLinesCallback
from .trainer import EarlyTerminationCallback, GradientMonitorCallback


def watch(
    trainer: Any,
    *,
    early_termination: Mapping[str, Any] | None = None,
    score: Mapping[str, Any] | None = None,
    log_lines: bool = False,
    **monitor: Any,
) -> None:
    """Attach the monitor, the rules and, if requested, the score to a trainer.

    Args:
        trainer: A transformers `Trainer`, or one derived from it, before `train()`.
        early_termination: Keys of the `early_termination` block, such as
            `{"action": "stop"}`; by default the rules warn, and only steps that stay
            non-finite stop the run.
        score: Keys of the `score` block, such as `{"data_path": "heldout.jsonl"}`.
        log_lines: Print a readable line for each log, in place of the dictionary.
        **monitor: Arguments of `GradientMonitorCallback`, such as `study="mine"` or
            `noise_scale=True`.

    Raises:
        SettingsError: If an argument is wrong, or the trainer is watched already.
    """
    if find_callback(trainer, GradientMonitorCallback) is not None:
        raise SettingsError(
            [
                Problem(
                    "watch(trainer)",
                    "found a GradientMonitorCallback on the trainer",
                    "call watch once, and do not pass the callback yourself",
                )
            ]
        )
    callbacks: list[TrainerCallback] = [
        GradientMonitorCallback(trainer=trainer, **monitor),
        EarlyTerminationCallback(trainer=trainer, **(early_termination or {})),
    ]
    if log_lines:
        callbacks.append(LogLinesCallback(trainer=trainer))
    if score is not None:
        # Before the monitor, so that the score is part of the run.
        callbacks.insert(0, HeldOutScoreCallback(trainer=trainer, **score))
    for callback in callbacks:
        trainer.add_callback(callback)
