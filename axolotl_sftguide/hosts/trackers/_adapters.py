"""How each tracker takes a note, an alert and figures.

A tracker is found by its callback among those of the trainer, and used through its
own module, which that callback has loaded.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from ._facts import Alert


class Tracker(Protocol):
    """One tracker that the trainer reports to."""

    title: str
    outlasts_its_run: bool
    """Whether notes are taken after the host has ended the tracker's run."""

    def is_open(self) -> bool:
        """Whether there is a run to write to."""

    def note(self, facts: Mapping[str, Any]) -> None:
        """Set facts of the run; one with the same name is replaced."""

    def alert(self, alert: Alert) -> None:
        """Send a message."""

    def figures(self, numbers: Mapping[str, float], step: int) -> None:
        """Set final figures of the run."""


class _Wandb:
    """Weights & Biases: the run's summary and alerts."""

    title = "W&B"
    outlasts_its_run = True  # the host leaves it open until the process ends

    def is_open(self) -> bool:
        return self._run is not None

    def note(self, facts: Mapping[str, Any]) -> None:
        self._run.summary.update(dict(facts))

    def alert(self, alert: Alert) -> None:
        # W&B refuses titles of more than 64 characters.
        self._run.alert(alert.title[:63], alert.text, alert.level)

    def figures(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.summary.update(dict(numbers))

    @property
    def _run(self) -> Any:
        return sys.modules["wandb"].run


class _TensorBoard:
    """TensorBoard: text and scalars."""

    title = "TensorBoard"
    outlasts_its_run = False

    def __init__(self, callback: Any) -> None:
        self._callback = callback

    def is_open(self) -> bool:
        return self._callback.tb_writer is not None

    def note(self, facts: Mapping[str, Any]) -> None:
        if "sftguide/warnings" in facts:
            return  # each warning has a text of its own
        lines = [f"- {k.partition('/')[2]}: {v}" for k, v in facts.items()]
        step = facts.get("sftguide/stopped_at_step", 0)
        self._text("sftguide/run", "\n".join(lines), step)

    def alert(self, alert: Alert) -> None:
        self._text("sftguide/verdict", f"**{alert.title}**\n\n{alert.text}", alert.step)

    def figures(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._callback.tb_writer.add_scalar(name, value, step)
        self._callback.tb_writer.flush()

    def _text(self, tag: str, text: str, step: int) -> None:
        self._callback.tb_writer.add_text(tag, text, step)
        self._callback.tb_writer.flush()


class _MLflow:
    """MLflow: tags, and metrics. It has no alerts."""

    title = "MLflow"
    outlasts_its_run = True

    def __init__(self) -> None:
        self._run_id: str | None = None

    def is_open(self) -> bool:
        active = sys.modules["mlflow"].active_run()
        if active is not None:
            self._run_id = active.info.run_id
        return self._run_id is not None

    def note(self, facts: Mapping[str, Any]) -> None:
        entities = sys.modules["mlflow.entities"]
        tags = [entities.RunTag(name, str(value)) for name, value in facts.items()]
        self._log(tags=tags)

    def alert(self, alert: Alert) -> None:
        pass

    def figures(self, numbers: Mapping[str, float], step: int) -> None:
        entities, now = sys.modules["mlflow.entities"], int(1000 * time.time())
        metrics = [entities.Metric(k, v, now, step) for k, v in numbers.items()]
        self._log(metrics=metrics)

    def _log(self, **batch: Any) -> None:
        # As the host logs: a server that does not answer must not hold up the training.
        client = sys.modules["mlflow"].MlflowClient()
        client.log_batch(self._run_id, synchronous=False, **batch)


class _Trackio:
    """trackio: the config until the first log, and alerts, also to webhooks."""

    title = "trackio"
    outlasts_its_run = False

    def is_open(self) -> bool:
        return self._run is not None

    def note(self, facts: Mapping[str, Any]) -> None:
        self._run.config.update(dict(facts))

    def alert(self, alert: Alert) -> None:
        trackio = sys.modules["trackio"]
        level = trackio.AlertLevel(alert.level.lower())
        self._run.alert(alert.title, alert.text, level, alert.step)

    def figures(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log(dict(numbers))

    @property
    def _run(self) -> Any:
        return sys.modules["trackio"].context_vars.current_run.get()


class _Aim:
    """Aim: the run's properties below `sftguide`, a tag, and log messages."""

    title = "Aim"
    outlasts_its_run = False

    def __init__(self, callback: Any) -> None:
        self._callback = callback

    def is_open(self) -> bool:
        return self._run is not None

    def note(self, facts: Mapping[str, Any]) -> None:
        for name, value in facts.items():
            self._run.set(tuple(name.split("/")), value, strict=False)
        if "sftguide/status" in facts:
            self._run.add_tag(f"sftguide {facts['sftguide/status']}")

    def alert(self, alert: Alert) -> None:
        log = {
            "ERROR": self._run.log_error,
            "WARN": self._run.log_warning,
            "INFO": self._run.log_info,
        }
        log[alert.level](f"{alert.title}: {alert.text}")

    def figures(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._run.track(value, name=name, step=step)

    @property
    def _run(self) -> Any:
        return self._callback._run  # `experiment` would begin a run


def tracker_of(callback: Any) -> Tracker | None:
    """The tracker that a callback of the trainer reports to, or None."""
    names = {kind.__name__ for kind in type(callback).__mro__}
    if "WandbCallback" in names:
        return _Wandb()
    if "TensorBoardCallback" in names:
        return _TensorBoard(callback)
    if "MLflowCallback" in names:
        return _MLflow()
    if "TrackioCallback" in names:
        return _Trackio()
    return _Aim(callback) if "AimCallback" in names else None
