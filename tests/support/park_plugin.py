"""An Axolotl plugin that parks a run at one step, as its sweep would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback

from axolotl_sftguide import GradientMonitorCallback
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.stopping.judge import Finding
from axolotl_sftguide.stopping.rules import Verdict


class ParkJudge:
    """Parks the run at the next log."""

    def step(
        self, state: Any, window: Sequence[Observation]
    ) -> tuple[Any, tuple[Finding, ...]]:
        if not window:  # the save that parks the run
            return state, ()
        last = window[-1]
        verdict = Verdict(
            "prediction", "planted", last.step, last.samples_seen, last.step
        )
        return state, (Finding(verdict, "park"),)


class ParkAt(TrainerCallback):  # type: ignore[misc]
    def __init__(self, trainer: Any, step: int | None) -> None:
        self._trainer, self._step = trainer, step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self._step:
            callbacks = self._trainer.callback_handler.callbacks
            (monitor,) = (c for c in callbacks if type(c) is GradientMonitorCallback)
            monitor.session._judge = ParkJudge()


class ParkPlugin(BasePlugin):  # type: ignore[misc]
    at: ClassVar[int | None] = None
    """The step, or None to train to the end."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        return [ParkAt(trainer, self.at)]
