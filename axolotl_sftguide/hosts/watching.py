"""All callbacks of a trainer in one call."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from ..errors import Problem, SettingsError, SFTGuideError
from ..monitor.faults import fail_safe
from ._calling import find_callback
from .held_out_score import HeldOutScoreCallback
from .log_lines import LogLinesCallback
from .trainer import EarlyTerminationCallback, GradientMonitorCallback

if TYPE_CHECKING:
    from ..report import Figure

_REDRAWN_EVERY_S = 2.0


class Watched(TrainerCallback):  # type: ignore[misc]
    """The run that `watch` attached to; a notebook shows it as a figure.

    Args:
        monitor: The callback that records the run.
        live: Whether to show the figure while it trains, below the cell.
    """

    def __init__(self, monitor: GradientMonitorCallback, *, live: bool = False) -> None:
        self.monitor = monitor
        self._live = live
        self._shown: Any = None
        self._shown_at = -math.inf
        self.run_id: str | None = None
        """The id of the run, or of the last one; None before a training begins."""

    @fail_safe
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the run."""
        session = self.monitor.session
        self.run_id = None if session is None else session.run_id
        self._shown, self._shown_at = None, -math.inf

    @fail_safe
    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Redraw the figure, at most every two seconds."""
        due = time.monotonic() - self._shown_at >= _REDRAWN_EVERY_S
        if self._live and due and state.is_world_process_zero:
            self._draw()

    @fail_safe
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Draw the figure of the whole run."""
        if self._live and state.is_world_process_zero:
            self._draw()

    def figure(self) -> Figure | None:
        """The run as it is now; None before a training has begun.

        Raises:
            StorageError: If the run history cannot be read.
        """
        if self.run_id is None:
            return None
        from ..report import show

        return show(self.run_id, storage=self.monitor.settings.storage)

    def _draw(self) -> None:
        from IPython.display import display

        figure = self.figure()
        self._shown_at = time.monotonic()
        if self._shown is None:
            self._shown = display(figure, display_id=True)
        else:
            self._shown.update(figure)

    def __repr__(self) -> str:
        return self._repr_mimebundle_()["text/plain"]

    def _repr_mimebundle_(self, **words: Any) -> dict[str, str]:
        try:
            figure = self.figure()
        except SFTGuideError as error:
            return {"text/plain": f"run {self.run_id} cannot be shown: {error}"}
        if figure is None:
            return {"text/plain": "a watched trainer; its training has not begun"}
        return figure._repr_mimebundle_(**words)


def watch(
    trainer: Any,
    *,
    early_termination: Mapping[str, Any] | None = None,
    score: Mapping[str, Any] | None = None,
    log_lines: bool = False,
    figure: bool = False,
    **monitor: Any,
) -> Watched:
    """Attach the monitor, the rules and, if requested, the score to a trainer.

    Args:
        trainer: A transformers `Trainer`, or one derived from it, before `train()`.
        early_termination: Keys of the `early_termination` block, such as
            `{"action": "stop"}`; by default the rules warn, and only steps that stay
            non-finite stop the run.
        score: Keys of the `score` block, such as `{"data_path": "heldout.jsonl"}`.
        log_lines: Print a readable line for each log, in place of the dictionary.
        figure: In a notebook, show the run as a figure that grows while it trains.
        **monitor: Arguments of `GradientMonitorCallback`, such as `study="mine"` or
            `noise_scale=True`.

    Returns:
        What a notebook shows as a figure of the run, once it has begun.

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
    recorder = GradientMonitorCallback(trainer=trainer, **monitor)
    watched = Watched(recorder, live=figure)
    callbacks: list[TrainerCallback] = [
        recorder,
        EarlyTerminationCallback(trainer=trainer, **(early_termination or {})),
        watched,
    ]
    if log_lines:
        callbacks.append(LogLinesCallback(trainer=trainer))
    if score is not None:
        # Before the monitor, so that the score is part of the run.
        callbacks.insert(0, HeldOutScoreCallback(trainer=trainer, **score))
    for callback in callbacks:
        trainer.add_callback(callback)
    return watched
