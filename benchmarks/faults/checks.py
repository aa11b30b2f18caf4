"""What is read back after a fault, and compared with an undisturbed program."""

import json
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from children import own_tracebacks
from click.testing import CliRunner
from tally import Tally

from axolotl_sftguide.cli import main
from axolotl_sftguide.errors import SFTGuideError
from axolotl_sftguide.runs.history import Run, RunHistory
from axolotl_sftguide.runs.marker import MARKER, read_marker
from axolotl_sftguide.runs.traces import Trace, find_traces, read_trace
from axolotl_sftguide.signals import Observation, points_of


def called(tally: Tally, *words: str) -> tuple[int, str]:
    """Call `sftguide` in this process; a traceback is counted."""
    done = CliRunner().invoke(main, list(words))
    failed(tally, done, " ".join(words))
    return done.exit_code, done.output


def failed(tally: Tally, done: Any, words: str) -> None:
    """Count a command that ended with a traceback."""
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        lines = traceback.format_exception(done.exception)
        place = next((one for one in lines[::-1] if "axolotl_sftguide" in one), "")
        tally.traceback(f"sftguide {words}: {lines[-1]} {place}")


def read_all(tally: Tally, folder: Path, where: str) -> list[Trace]:
    """All traces below a folder, oldest first; one that cannot be read is a loss."""
    found = []
    for path in find_traces(folder):
        if not path.read_bytes().count(b"\n"):
            continue  # killed before its first line: nothing had been written
        try:
            found.append(read_trace(path))
        except SFTGuideError as error:
            tally.loss(f"{where}: {error}")
    return sorted(found, key=lambda trace: trace.run["started_at"])


def as_before(
    tally: Tally,
    trace: Trace,
    undisturbed: Sequence[Observation],
    where: str,
    *,
    at_least: int = 0,
) -> None:
    """A trace has the steps of the undisturbed run from the first on, bit for bit."""
    steps = trace.observations
    if len(steps) < at_least:
        tally.loss(f"{where}: {len(steps)} of at least {at_least} steps in the trace")
    if repr(steps) != repr(tuple(undisturbed[: len(steps)])):
        pairs = zip(steps, undisturbed, strict=False)
        first = next((p for p in pairs if repr(p[0]) != repr(p[1])), None)
        tally.mistake(f"{where}: {first or 'more steps than trained'}")


def in_history(
    tally: Tally, storage: Path, trace: Trace, status: str, where: str
) -> Run | None:
    """The run in the history is that of the whole trace."""
    try:
        history = RunHistory(str(storage))
        run = history.get(trace.run["id"])
        points = history.points(run.id)
    except SFTGuideError as error:
        tally.loss(f"{where}: {error}")
        return None
    last = trace.observations[-1]
    found = (run.shown_status, run.step, run.samples_seen, repr(run.loss))
    if found != (status, last.step, last.samples_seen, repr(last.loss)):
        tally.mistake(f"{where}: the history has {found}, the trace {status}, {last}")
    if repr(points) != repr(points_of(trace.observations, _every(run.max_steps))):
        tally.mistake(f"{where}: the curve in the history is not that of the trace")
    decided = [e["rule"] for e in trace.events if e["event"] == "decision"]
    if [d.rule for d in run.decisions] != decided:
        tally.mistake(f"{where}: decisions {run.decisions}, in the trace {decided}")
    return run


def _every(max_steps: int) -> int:
    from axolotl_sftguide.signals import point_steps

    return int(point_steps(max_steps))


def whole_marker(tally: Tally, folder: Path, where: str) -> None:
    """The marker of a stopped run is whole or absent."""
    if (folder / MARKER).exists() and read_marker(folder) is None:
        tally.loss(f"{where}: {MARKER} cannot be read")


def quiet(tally: Tally, log: Path, where: str, *planted: str) -> str:
    """The output of a training, without tracebacks of this package."""
    text = log.read_text(errors="replace") if log.exists() else ""
    for found in own_tracebacks(text, *planted):
        tally.traceback(f"{where}: {found}")
    for line in text.splitlines():
        if "internal error" in line and "axolotl_sftguide" not in line:
            tally.traceback(f"{where}: {line}")
    return text


def values(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())
