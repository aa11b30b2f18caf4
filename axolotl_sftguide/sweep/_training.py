"""One trial's training: a process of its own, its log, its end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from ..errors import SweepError, TraceError
from ..runs.history import is_alive, this_process
from ..runs.marker import checkpoint_step
from ..runs.traces import Trace, find_traces, read_trace

LOG = "axolotl.log"
"""What Axolotl printed, inside the trial's folder."""

_CONFIG = "config.yml"
_PROCESS = "sftguide-process.json"
_GRACE_S = 20.0
_POLL_S = 0.3
_BLAME = re.compile(
    r"^(sftguide: |[\w.]*(Error|Exception|Exit)\b)|Killed|out of memory"
)


class Interrupted(Exception):
    """The training was ended because the sweep was."""


class Training:
    """Trains one config in a folder, or goes on with what is there.

    Args:
        config: The whole config for `axolotl train`.
        folder: Its output folder.
        arguments: More arguments for `axolotl train`, such as `--launcher`.
        environment: Variables to set for it.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        folder: Path,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._config = dict(config)
        self._folder = folder
        self._arguments = tuple(arguments)
        self._environment = dict(environment or {})
        self.log = folder / LOG
        """Where its output goes."""

    def run(self, stop: threading.Event, hurry: threading.Event) -> Trace:
        """Train to the end, and read the trace.

        A training whose sweep was killed is waited for where it still runs, read
        where it has come to its end, and gone on with from its last checkpoint where
        it was cut off.

        Args:
            stop: Ends the training when it is set.
            hurry: Leaves it no time to end by itself.

        Raises:
            Interrupted: Where `stop` ended it.
            SweepError: Where it failed, with the line that says why.
        """
        process = self._still_running()
        if process is None:
            trace = self._trace()
            if trace is not None and _is_whole(trace):
                return trace
            process = self._start()
        exit_code = self._wait(process, stop, hurry)
        trace = self._trace()
        # The exit status of a training begun by another worker is not to be had.
        if exit_code in (0, None) and trace is not None and _is_whole(trace):
            return trace
        raise SweepError(self._blame(exit_code))

    def _start(self) -> psutil.Process:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = dict(self._config)
        checkpoint = _last_whole_checkpoint(self._folder)
        if checkpoint is not None:
            config["resume_from_checkpoint"] = str(checkpoint)
        path = self._folder / _CONFIG
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        scripts = str(Path(sys.executable).parent)
        # `axolotl train` looks for its launcher on the path.
        search = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
        axolotl = shutil.which("axolotl", path=search)
        if axolotl is None:
            raise SweepError(
                "`axolotl` is not on the path: a sweep trains with Axolotl; "
                "pip install 'axolotl-sftguide[axolotl]'"
            )
        with self.log.open("ab") as log:
            process = psutil.Popen(
                [axolotl, "train", str(path), *self._arguments],
                env={**os.environ, **self._environment, "PATH": search},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal goes to the sweep alone.
                start_new_session=True,
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
            note = json.loads((self._folder / _PROCESS).read_text(encoding="utf-8"))
            if note["hostname"] == this_process()["hostname"] and is_alive(
                **note, heartbeat_at=0.0
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
                code: int | None = process.wait(timeout=_POLL_S)
                return code
            except psutil.TimeoutExpired:
                pass
            if stop.is_set():
                _end(process, hurry)
                raise Interrupted

    def _trace(self) -> Trace | None:
        paths = sorted(find_traces(self._folder), key=lambda p: p.stat().st_mtime)
        try:
            return read_trace(paths[-1]) if paths else None
        except TraceError:
            return None

    def _blame(self, exit_code: int | None) -> str:
        """One line: the last of the log that names a fault."""
        how = f"ended with {exit_code}" if exit_code else "did not come to its end"
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        said = [line.strip() for line in lines if line.strip()]
        # accelerate's own traceback about the exit status comes after the fault.
        faults = [s for s in said if _BLAME.search(s) and "CalledProcessError" not in s]
        last = (faults or said or ["it printed nothing"])[-1]
        return f"the training {how}: {last[:300]} ({self.log})"


def _last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that a kill has not cut off while it was written.

    Transformers writes the trainer's state last.
    """
    steps = {checkpoint_step(path): path for path in folder.glob("checkpoint-*")}
    for _, path in sorted((s, p) for s, p in steps.items() if s is not None)[::-1]:
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return path
    return None


def _is_whole(trace: Trace) -> bool:
    return trace.end is not None and trace.end["status"] in ("finished", "terminated")


def _end(process: psutil.Process, hurry: threading.Event) -> None:
    """End a process and all it has started, kindly first."""
    try:
        family = [*process.children(recursive=True), process]
    except psutil.Error:
        return
    for member in family:
        _signal(member.terminate)
    for _ in range(int(_GRACE_S / _POLL_S)):
        _, family = psutil.wait_procs(family, timeout=_POLL_S)
        if not family or hurry.is_set():
            break
    for member in family:
        _signal(member.kill)
    psutil.wait_procs(family, timeout=_GRACE_S)


def _signal(send: Any) -> None:
    with suppress(psutil.Error):
        send()
