"""One readable line for each log, in place of the dictionary that the host prints."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from ..config.settings import Settings
from ..console import show_log
from ..monitor.faults import fail_safe
from ..monitor.pace import Pace
from ..monitor.wrapping import MethodWraps
from ..runs.log_line import LogLine, evaluation_parts
from ..units import duration, number
from ._calling import calling_trainer
from ._copying import WithoutTraining

logger = logging.getLogger(__name__)

_PRINTERS = (ProgressCallback, PrinterCallback)
"""The callbacks of transformers that print a dictionary."""

_NO_PRINTER = (
    "log_lines has no effect: no callback of this trainer prints logs as dictionaries"
)


class LogLinesCallback(WithoutTraining, TrainerCallback):  # type: ignore[misc]
    """Prints `step 120/480  25%  loss 1.234 ...` in place of a dictionary.

    The progress bar stays. Only the printing changes: trackers get the same logs, and
    nothing is printed on other ranks than the first. Trainers whose logs are shown by
    other callbacks, such as the table in a notebook, are left as they are.

    Args:
        trainer: The trainer, if it exists already; `watch` passes it.
    """

    def __init__(self, *, trainer: Any = None) -> None:
        self._trainer = trainer
        self._wraps = MethodWraps()
        self._begin()

    @fail_safe
    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Replace what the host's callbacks print."""
        trainer = calling_trainer(self._trainer)
        self._wraps.undo()  # of a training that an error ended
        self._begin()
        found = [
            callback
            for callback in trainer.callback_handler.callbacks
            if type(callback).on_log in [kind.on_log for kind in _PRINTERS]
        ]
        for callback in found:
            self._take_over(callback)
        if not found and state.is_world_process_zero:
            show_log()
            logger.info(_NO_PRINTER)

    @fail_safe
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the time of a step."""
        self._pace.step()

    @fail_safe
    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave the evaluation out of the time of a step."""
        self._pace.interrupt()

    @fail_safe
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave the save out of the time of a step."""
        self._pace.interrupt()

    @fail_safe
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Restore the callbacks' own methods."""
        self._wraps.undo()

    def _begin(self) -> None:
        self._pace = Pace()
        self._loss: float | None = None
        self._evaluation: dict[str, float] = {}

    def _take_over(self, callback: Any) -> None:
        def on_log(
            original: Any,
            args: Any,
            state: Any,
            control: Any,
            logs: Any = None,
            **words: Any,
        ) -> Any:
            try:
                line = self.line(state, logs or {})
            except Exception:
                logger.debug("traceback of the internal error", exc_info=True)
                return original(args, state, control, logs=logs, **words)
            if isinstance(callback, PrinterCallback) and logs is not None:
                logs.pop("total_flos", None)  # as the host's method does
            if state.is_world_process_zero:
                _show(line, callback)
            return None

        self._wraps.wrap(callback, "on_log", on_log)

    def line(self, state: Any, logs: Mapping[str, Any]) -> str:
        """The line of a log: of training, of an evaluation, or of the whole run."""
        numbers = {k: float(v) for k, v in logs.items() if _is_number(v)}
        step, most = state.global_step, state.max_steps
        if "train_runtime" in numbers:
            return _summary(LogLine(step, most), numbers)
        if "loss" not in numbers:
            found = {k: v for k, v in numbers.items() if k.startswith("eval")}
            if not found:  # of something else that logs through the trainer
                shown = (f"{k} {number(v)}" for k, v in numbers.items() if k != "epoch")
                return "  ".join([str(LogLine(step, most)), *shown])
            self._evaluation |= {k: v for k, v in found.items() if k == "eval_loss"}
            return str(LogLine(step, most, evaluation=found))
        before, self._loss = self._loss, numbers["loss"]
        step_s = self._pace.step_s
        norm = numbers.get("grad_norm", numbers.get("sftguide/grad_norm_mean"))
        return str(
            LogLine(
                step,
                most,
                self._loss,
                before,
                norm,
                numbers.get("learning_rate"),
                step_s,
                None if step_s is None else (most - step) * step_s,
                self._evaluation,
            )
        )


def log_lines_of(settings: Settings, trainer: Any) -> list[LogLinesCallback]:
    """The callback, if the settings ask for it."""
    return [LogLinesCallback(trainer=trainer)] if settings.log_lines else []


def _summary(line: LogLine, numbers: Mapping[str, float]) -> str:
    speed = numbers.get("train_samples_per_second")
    parts = [
        str(line),
        f"trained {duration(numbers['train_runtime'])}",
        f"mean loss {number(numbers.get('train_loss'))}",
        None if speed is None else f"{number(speed, 3)} samples/s",
        *evaluation_parts({k: v for k, v in numbers.items() if k.startswith("eval")}),
    ]
    return "  ".join(part for part in parts if part)


def _show(line: str, callback: Any) -> None:
    bar = getattr(callback, "training_bar", None)
    if bar is not None:
        bar.write(line)  # above the bar
    elif isinstance(callback, PrinterCallback):
        print(line)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
