"""An Axolotl plugin that lets one rank want to stop at one step."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from axolotl.integrations.base import BasePlugin
from planted import StopJudge
from transformers import TrainerCallback

from axolotl_sftguide import GradientMonitorCallback


class StopAt(TrainerCallback):  # type: ignore[misc]
    def __init__(self, trainer: Any, step: int, rank: int) -> None:
        self._trainer, self._step, self._rank = trainer, step, rank

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self._step and int(os.environ["RANK"]) == self._rank:
            callbacks = self._trainer.callback_handler.callbacks
            (monitor,) = (c for c in callbacks if type(c) is GradientMonitorCallback)
            monitor.session._judge = StopJudge()


class StopPlugin(BasePlugin):  # type: ignore[misc]
    at: ClassVar[tuple[int, int]] = (0, 0)
    """The step, and the rank that wants to stop after it."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        return [StopAt(trainer, *self.at)]
