"""`sftguide runs watch` where there is no terminal: a line for each log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Any

from ..runs.live import LiveRun
from ..runs.log_line import LogLine
from ..runs.redaction import json_safe
from ..signals import Observation

_EVERY = 16
"""Optimizer steps per line, if the run's config names no `logging_steps`."""


class WatchLines:
    """Prints each log, verdict and evaluation of a run once.

    Args:
        out: Called with each line.
        as_json: Whether a line is a JSON object.
    """

    def __init__(self, out: Callable[[str], Any], *, as_json: bool = False) -> None:
        self._out = out
        self._as_json = as_json
        self._step = 0
        self._loss: float | None = None
        self._decisions = 0

    def show(self, live: LiveRun) -> None:
        """Print what is new."""
        for line in self._new(live):
            self._tell("log", _values(line), str(line))
        for decision in live.decisions[self._decisions :]:
            from .watch_page import verdict_line

            values = {
                "action": decision.action,
                "rule": decision.rule,
                "step": decision.step,
                "reason": decision.reason,
            }
            self._tell("decision", values, verdict_line(decision).plain)
        self._decisions = len(live.decisions)

    def end(self, live: LiveRun, text: str) -> None:
        """Print how the run ended."""
        values = {
            "id": live.run.id,
            "status": live.run.shown_status,
            "reason": live.run.reason,
            "step": live.step,
        }
        self._tell("end", values, text)

    def _new(self, live: LiveRun) -> Iterator[LogLine]:
        steps = [o for o in live.steps if isinstance(o, Observation)]
        if not steps:
            yield from self._new_in_history(live)
            return
        every, most = _logging_steps(live), live.run.max_steps
        windows: list[list[Observation]] = [[]]
        for o in (o for o in steps if o.step > self._step):
            windows[-1].append(o)
            if not o.step % every or o.step == most:
                windows.append([])
        if not live.ended or not windows[-1]:
            del windows[-1]  # its log is still to come
        for window in windows:
            yield self._line(live, window, newest=window is windows[-1])

    def _line(
        self, live: LiveRun, window: list[Observation], *, newest: bool
    ) -> LogLine:
        before, self._loss = self._loss, fmean(o.loss for o in window)
        last = window[-1]
        self._step = last.step
        return LogLine(
            last.step,
            live.run.max_steps,
            self._loss,
            before,
            fmean(o.grad_norm for o in window),
            last.learning_rate,
            # How fast the steps before were is not recorded.
            live.step_s if newest else None,
            live.left_s if newest and not live.ended else None,
            live.evaluation if newest else {},
        )

    def _new_in_history(self, live: LiveRun) -> Iterator[LogLine]:
        run = live.run
        if run.step > self._step:
            before, self._step, self._loss = self._loss, run.step, run.loss
            yield LogLine(
                run.step,
                run.max_steps,
                run.loss,
                before,
                run.grad_norm,
                None,
                live.step_s,
                None if live.ended else live.left_s,
            )

    def _tell(self, event: str, values: dict[str, Any], text: str) -> None:
        if self._as_json:
            text = json.dumps(json_safe({"event": event, **values}))
        self._out(text)


def _values(line: LogLine) -> dict[str, Any]:
    return {
        "step": line.step,
        "max_steps": line.max_steps,
        "loss": line.loss,
        "grad_norm": line.grad_norm,
        "learning_rate": line.learning_rate,
        "step_s": line.step_s,
        "left_s": line.left_s,
        "evaluation": dict(line.evaluation),
    }


def _logging_steps(live: LiveRun) -> int:
    found = live.run.config.get("logging_steps")
    if isinstance(found, (int, float)) and found >= 1:
        return int(found)
    return _EVERY
