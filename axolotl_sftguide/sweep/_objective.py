"""The value that trials are compared by."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config.settings import BLOCK, load_settings
from ..errors import Problem, SettingsError, SweepError
from ..runs.history import Goal
from ..runs.traces import Trace

OUTPUT_VARIABLE = "SFTGUIDE_OUTPUT_DIR"
"""The environment variable that holds the trial's folder for the command."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


class NotValuedError(SweepError):
    """A trained run has no value: not recorded, or the command has failed."""

    def __init__(
        self, text: str, *, can_run: bool = True, wrong_usage: bool = False
    ) -> None:
        super().__init__(text)
        self.can_run = can_run
        """False if the command was not found or may not be executed."""
        self.wrong_usage = wrong_usage
        """Whether the command ended as programs do that are called wrongly."""


@dataclass(frozen=True)
class Objective:
    """A metric that the run records, or the number that a command prints."""

    metric: str
    goal: Goal
    command: str | None = None

    def of(self, trace: Trace) -> float:
        """The value of a finished run.

        Raises:
            NotValuedError: If the run did not record it, or the command fails.
        """
        if self.command is not None:
            return self._measured(str(trace.run["output_dir"]))
        values = [
            event["value"]
            for event in trace.events
            if event["event"] == "score" and event["metric"] == self.metric
        ] or [
            event["metrics"][self.metric]
            for event in trace.events
            if event["event"] == "evaluation" and self.metric in event["metrics"]
        ]
        if not values:
            raise NotValuedError(
                f"{trace.path}: the run recorded no {self.metric!r} (recorded: "
                f"{', '.join(_recorded(trace)) or 'nothing'})"
            )
        return _finite(float(values[-1]), f"{self.metric} of {trace.path}")

    def _measured(self, output_dir: str) -> float:
        """The last number that the command prints.

        `{output_dir}` stands for the folder, which is also in the environment.
        """
        assert self.command is not None
        words = [
            word.replace("{output_dir}", output_dir)
            for word in shlex.split(self.command)
        ]
        shown = shlex.join(words)
        try:
            done = subprocess.run(
                words,
                env={**os.environ, OUTPUT_VARIABLE: output_dir},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
            )
        except OSError as error:
            text = f"{shown}: cannot be run ({error.strerror})"
            raise NotValuedError(text, can_run=False) from None
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no error message"]
            text = f"{shown}: exit status {done.returncode}: {lines[-1]}"
            # What a shell says of a command that it cannot find or execute.
            raise NotValuedError(
                text,
                can_run=done.returncode not in (126, 127),
                wrong_usage=done.returncode == 2,
            )
        numbers = _NUMBER.findall(done.stdout)
        if not numbers:
            raise NotValuedError(f"{shown}: printed no number")
        return _finite(float(numbers[-1]), shown)


def choose_objective(
    config: Mapping[str, Any],
    *,
    metric: str | None = None,
    command: str | None = None,
    goal: Goal | None = None,
) -> Objective:
    """The objective from the options, or the one that the config records.

    Args:
        config: The config of a trial.
        metric: A score or an `eval_` metric of the run, or the command's name.
        command: A command whose last printed number is the value.
        goal: Which direction is better; known for the config's score and `eval_loss`.

    Raises:
        SettingsError: If there is no metric, or its direction is unknown.
    """
    if command is not None and not _words(command):
        raise SettingsError(
            [Problem("--command", f"{command!r} is not a command line")]
        )
    score = load_settings(config.get(BLOCK)).score
    evaluates = config.get("val_set_size") or config.get("test_datasets")
    chosen = metric or ("command" if command else None)
    if chosen is None and score is not None:
        chosen = score.metric
    if chosen is None and evaluates:
        chosen = "eval_loss"
    if chosen is None:
        raise SettingsError(
            [
                Problem(
                    "",
                    "no metric to compare the trials by: the config has no "
                    "`sftguide.score` and no evaluation (`val_set_size`, "
                    "`test_datasets`)",
                    "add one, or use --command",
                )
            ]
        )
    if goal is None and command is None:
        if score is not None and chosen == score.metric:
            goal = "max"
        elif chosen == "eval_loss":
            goal = "min"
    if goal is None:
        message = f"whether a higher or a lower {chosen} is better is not known"
        remedy = "add --goal max or --goal min"
        raise SettingsError([Problem("", message, remedy)])
    return Objective(chosen, goal, command)


def require_program(command: str) -> None:
    """Check that the program of a command exists, before anything is trained.

    Raises:
        SettingsError: If it does not.
    """
    program = _words(command)[0]
    if shutil.which(program) is None:
        message = f"{program!r} is not a program that can be run"
        raise SettingsError([Problem("--command", message, "Correct the name")])


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _finite(value: float, what: str) -> float:
    if math.isfinite(value):
        return value
    raise NotValuedError(f"{what} is {value}, which cannot be compared")


def _recorded(trace: Trace) -> list[str]:
    found: dict[str, None] = {}
    for event in trace.events:
        if event["event"] == "score":
            found[event["metric"]] = None
        elif event["event"] == "evaluation":
            found.update(dict.fromkeys(event["metrics"]))
    return list(found)
