"""The trace of a run: JSON lines that are appended and flushed as it trains.

The first line describes the run and has the version of the format. A line with an
`event` key is an event (`run`, `resume`, `decision`, `evaluation`, `norm_check`,
`score`, `rename`, `tags`, `loss_by_source`, `held_out_loss_by_source`, `memory`,
`end`); any other line is one optimizer step. Non-finite numbers are written as the
strings "NaN", "Infinity" and "-Infinity", which `float()` parses.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any

from ..errors import TraceError
from ..signals import Observation
from ..signals.sources import HELD_OUT_EVENT, TRAINING_EVENT
from .trace_lines import TraceLines
from .trace_writer import FORM as FORM
from .trace_writer import TraceWriter as TraceWriter
from .trace_writer import to_line as to_line

PATTERN = "sftguide-trace-*.jsonl"
"""The name of trace files in an output folder."""

MEMORY_EVENT = "memory"
"""The event with `peak_bytes`, the most memory that torch held on the GPU of rank 0."""

NAME_EVENT = "rename"
"""The event whose `to` replaces the run's name."""

TAGS_EVENT = "tags"
"""The event whose `tags` replace the run's tags."""

_APPENDED = ("resume", "score", NAME_EVENT, TAGS_EVENT, "end")
"""Events that are appended to the trace of a run that has ended, however it ended."""

_STEP_FIELDS = frozenset(f.name for f in fields(Observation))
_TAKEN_AT_A_STEP = ("decision", "evaluation", TRAINING_EVENT, HELD_OUT_EVENT)
_INT_FIELDS = ("step", "samples_seen")
_OPTIONAL_FIELDS = ("trained_tokens", "grad_noise")
_FLOAT_FIELDS = ("loss", "grad_norm", "learning_rate")


@dataclass(frozen=True)
class Trace:
    """A trace that was read."""

    path: Path
    run: dict[str, Any]
    """The run as the first line describes it, updated by the last resume."""
    observations: tuple[Observation, ...]
    """One per optimizer step, in order; a resume replaces the steps it repeats."""
    events: tuple[dict[str, Any], ...] = ()
    """All events after the first line."""
    torn: bool = False
    """Whether the last line is cut off; it is left out then."""

    @property
    def end(self) -> dict[str, Any] | None:
        """The event that ended the run, if it was not resumed afterwards."""
        last = None
        for event in self.events:
            if event["event"] in ("end", "resume"):
                last = event if event["event"] == "end" else None
        return last


_RUN_ID = re.compile(r"\w[\w.-]{0,99}", re.ASCII)


def is_run_id(value: Any) -> bool:
    """Whether a value can be the id of a run, which is a part of a file's name."""
    return isinstance(value, str) and bool(_RUN_ID.fullmatch(value))


def trace_path(output_dir: str | Path, run_id: str) -> Path:
    """The path of a run's trace."""
    return Path(output_dir) / PATTERN.replace("*", run_id)


def read_trace(path: str | Path) -> Trace:
    """Read a trace, including one that is still being written or is cut off.

    Raises:
        TraceError: If the file cannot be read, is not a trace, has a newer format, or
            has a broken line before its last.
    """
    return _trace_of(_lines_of(path))


def parse_trace(path: Path, content: bytes) -> Trace:
    """The trace in some bytes, which belong into a file.

    Raises:
        TraceError: As `read_trace`.
    """
    return _trace_of(TraceLines(path, _APPENDED, BytesIO(content)))


def _trace_of(lines: TraceLines) -> Trace:
    with lines:
        content = TraceContent(lines.path, run_of(lines.path, lines.first()))
        for record in lines:
            content.add(record)
        return content.trace(torn=lines.torn)


def _lines_of(path: str | Path) -> TraceLines:
    return TraceLines(Path(path), _APPENDED)


class TraceContent:
    """A trace, built from its records one after the other.

    Args:
        path: The file.
        run: The run as its first line describes it.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self._path = path
        self._run = run
        self._observations: list[Observation] = []
        self._events: list[dict[str, Any]] = []

    def add(self, record: dict[str, Any]) -> None:
        """Add the record of one line after the first.

        Raises:
            TraceError: If it lacks a required field.
        """
        event = record.get("event")
        if "event" not in record:
            self._take(observation_of(self._path, record))
            return
        from .trace_fields import fault_of_event  # loads pydantic

        fault = fault_of_event(record)
        if fault is not None:
            raise TraceError(
                f"{self._path}: a record of {event!r:.40} is wrong: {fault}"
            )
        if event == "resume":
            last = _resumed_at(self._path, record)
            del self._observations[self._position(last + 1) :]
            self._run = {**self._run, **record.get("run", {})}
            self._events = [e for e in self._events if not _decided_after(e, last)]
        self._events.append(record)

    def trace(self, *, torn: bool) -> Trace:
        """All that was added, in order."""
        steps, events = tuple(self._observations), tuple(self._events)
        return Trace(self._path, self._run, steps, events, torn)

    def _take(self, observation: Observation) -> None:
        """Keep the steps in order, and of a repeated one the last."""
        at = self._position(observation.step)
        same = self._observations[at : at + 1]
        end = at + bool(same and same[0].step == observation.step)
        self._observations[at:end] = [observation]

    def _position(self, step: int) -> int:
        """Where a step is or belongs; nearly always at the end."""
        found = self._observations
        if not found or found[-1].step < step:
            return len(found)
        return bisect_left(found, step, key=lambda o: o.step)


def traces_run(path: str | Path, run_id: str) -> bool:
    """Whether a file is the trace of a run."""
    try:
        with _lines_of(path) as lines:
            return bool(run_of(lines.path, lines.first()).get("id") == run_id)
    except TraceError:
        return False


def find_traces(path: str | Path) -> list[Path]:
    """All traces at or below a path, in a stable order."""
    path = Path(path)
    if path.is_file():
        return [path]
    return sorted(path.rglob(PATTERN))


def run_of(path: Path, first: dict[str, Any] | None) -> dict[str, Any]:
    """The run that the first record of a trace describes.

    Raises:
        TraceError: If it describes none, or has a newer format.
    """
    head = first if first is not None and first.get("event") == "run" else {}
    form, run = head.get("form"), head.get("run")
    if isinstance(form, int) and form > FORM:
        raise TraceError(
            f"{path}: has trace format {form}, and this version reads up to "
            f"format {FORM}. Upgrade axolotl-sftguide"
        )
    if not isinstance(form, int) or not isinstance(run, dict):
        raise TraceError(
            f"{path}: is not a trace of axolotl-sftguide (line 1 describes no run)"
        )
    from .trace_fields import fault_of_run

    fault = fault_of_run(run)
    if fault is None and "id" in run and not is_run_id(run["id"]):
        fault = f"id {run['id']!r:.80} is not the id of a run"
    if fault is not None:
        raise TraceError(f"{path}: line 1: {fault}")
    return run


def _decided_after(event: dict[str, Any], step: int) -> bool:
    taken_at_a_step = event["event"] in _TAKEN_AT_A_STEP
    return bool(taken_at_a_step and event.get("step", 0) > step)


def _resumed_at(path: Path, record: dict[str, Any]) -> int:
    step = record.get("step")
    if not isinstance(step, int):
        raise TraceError(f"{path}: a resume record has no step: {record!r:.200}")
    return step


def observation_of(path: Path, record: dict[str, Any]) -> Observation:
    """The optimizer step that a record without an event holds.

    Raises:
        TraceError: If it lacks a required field.
    """
    # A later version may add fields without a new format; they are ignored.
    known = {k: v for k, v in record.items() if k in _STEP_FIELDS}
    try:
        known.update({k: float(known[k]) for k in _FLOAT_FIELDS})
        known.update({k: _count(known[k]) for k in _INT_FIELDS})
        known.update({k: _optional(known.get(k)) for k in _OPTIONAL_FIELDS})
        return Observation(**known)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise TraceError(
            f"{path}: a step record is incomplete ({error!r:.100}): {record!r:.200}"
        ) from None


def _count(value: Any) -> int:
    number = int(value)
    if not 0 <= number < 2**63:
        raise ValueError(f"{number:.3g} is not a count")
    return number


def _optional(value: Any) -> float | int | None:
    """A number that may be missing, as it is."""
    if value is None or isinstance(value, (int, float)):
        return value
    return float(value)
