"""The training of one trial: a child process, its log and its trace."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from ..config.json_text import parse_json
from ..errors import SweepError, TraceError
from ..runs.checkpoints import last_whole_checkpoint
from ..runs.history import is_alive, this_process
from ..runs.private_files import opener
from ..runs.traces import Trace, find_traces, read_trace
from ..signals import point_steps, points_of, thinned
from ._objective import Objective
from .axolotl_process import LOG, POLL_S, end_process, error_line, start_axolotl
from .storage import CURVE_POINTS

_CONFIG = "config.yml"
_PROCESS = "sftguide-process.json"


class Interrupted(Exception):
    """The training was ended because the sweep was interrupted."""


class Training:
    """Trains one config in a folder, or continues what an earlier sweep started there.

    Args:
        config: The whole config for `axolotl train`.
        folder: Its output folder.
        arguments: More arguments for `axolotl train`, such as `--launcher`.
        environment: Variables to set for it.
        resumed_at: The step at which an earlier training was parked that is resumed.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        folder: Path,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        resumed_at: int | None = None,
    ) -> None:
        self._resumed_at = resumed_at
        self._config = dict(config)
        self._folder = folder
        self._arguments = tuple(arguments)
        self._environment = dict(environment or {})
        self.log = folder / LOG
        """The file that its output goes to."""

    def run(self, stop: threading.Event, hurry: threading.Event) -> Trace:
        """Train to the end, and read the trace.

        If an earlier sweep was killed, its training may still be running, have
        finished, or have died. A running training is waited for, the trace of a
        finished one is read, and a dead one resumes from its last checkpoint.

        Args:
            stop: Ends the training when it is set.
            hurry: Kills the training without time to end, when it is set too.

        Raises:
            Interrupted: If `stop` ended the training.
            SweepError: If it failed, with the error line of its log.
        """
        process = self._still_running()
        if process is None:
            trace = newest_trace(self._folder)
            if trace is not None and self._is_over(trace):
                return trace
            process = self._start()
        exit_code = self._wait(process, stop, hurry)
        trace = newest_trace(self._folder)
        # The exit status of another worker's child process is unknown.
        if exit_code in (0, None) and trace is not None and self._is_over(trace):
            return trace
        raise SweepError(self._failure(exit_code))

    def _start(self) -> psutil.Process:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = dict(self._config)
        checkpoint = last_whole_checkpoint(self._folder)
        if checkpoint is not None:
            config["resume_from_checkpoint"] = str(checkpoint)
        path = self._folder / _CONFIG
        with open(path, "w", encoding="utf-8", opener=opener) as file:
            file.write(yaml.safe_dump(config, sort_keys=False))
        process = start_axolotl(
            path,
            self.log,
            arguments=self._arguments,
            environment=self._environment,
        )
        note = {
            **this_process(),
            "process_id": process.pid,
            "process_started_at": process.create_time(),
        }
        (self._folder / _PROCESS).write_text(json.dumps(note), encoding="utf-8")
        return process

    def _still_running(self) -> psutil.Process | None:
        try:
            note = parse_json((self._folder / _PROCESS).read_text(encoding="utf-8"))
            if note["hostname"] == this_process()["hostname"] and is_alive(
                **note, heartbeat_at=_written_at(self._folder)
            ):
                return psutil.Process(note["process_id"])
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            pass
        return None

    def _wait(
        self, process: psutil.Process, stop: threading.Event, hurry: threading.Event
    ) -> int | None:
        while True:
            try:
                code: int | None = process.wait(timeout=POLL_S)
                return code
            except psutil.TimeoutExpired:
                pass
            if stop.is_set():
                end_process(process, hurry.is_set)
                raise Interrupted

    def _failure(self, exit_code: int | None) -> str:
        how = f"with status {exit_code}" if exit_code else "without a complete trace"
        return f"the training ended {how}: {error_line(self.log)} ({self.log})"

    def _is_over(self, trace: Trace) -> bool:
        """Whether the training is over, and not to be resumed."""
        status = trace.end["status"] if trace.end is not None else None
        if status != "parked":
            return status in ("finished", "terminated")
        last = trace.observations[-1].step if trace.observations else 0
        return self._resumed_at is None or last > self._resumed_at


def _written_at(folder: Path) -> float:
    """When the training in a folder last wrote something."""
    written = [*find_traces(folder), folder / LOG]
    return max((p.stat().st_mtime for p in written if p.exists()), default=0.0)


def newest_trace(folder: Path) -> Trace | None:
    """The trace in an output folder that was written last; None if none is readable."""
    paths = sorted(find_traces(folder), key=lambda path: path.stat().st_mtime)
    try:
        return read_trace(paths[-1]) if paths else None
    except TraceError:
        return None


def curve_of(
    trace: Trace, objective: Objective, *, stopped: bool = False
) -> dict[int, float]:
    """The loss by samples seen, thinned, as intermediate values for Optuna."""
    # Optuna's TPE ranks stopped trials by their last intermediate value, in the
    # direction of the objective: a loss would mislead it where more is better.
    if stopped and objective.goal == "max":
        return {}
    every = point_steps(trace.run["max_steps"])
    points = thinned(points_of(trace.observations, every), CURVE_POINTS)
    return {point.samples_seen: point.loss for point in points}
