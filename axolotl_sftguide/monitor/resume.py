"""The run that a resumed training continues.

Every checkpoint of a watched run carries a small file that names the run, its step and
its samples, so that a resume finds its own run and not the newest in the folder.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SFTGuideError
from ..runs.checkpoints import read_note
from ..runs.history import is_alive, this_process
from ..runs.traces import PATTERN, Trace, read_trace, trace_path
from ..signals import Observation
from . import notices, storage_notices

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resumed:
    """What is known of the steps before a resume."""

    run_id: str | None = None
    """The run to continue; None if its trace was not found."""
    past: tuple[Observation, ...] = ()
    """Its recorded steps up to the checkpoint."""
    samples_seen: int | None = None
    """The samples up to the checkpoint; None if unknown."""
    key: str | None = None
    """Its comparability key."""
    stops: tuple[dict[str, Any], ...] = ()
    """Its recorded decisions to stop, up to the checkpoint."""
    evaluations: tuple[dict[str, Any], ...] = ()
    """Its recorded evaluations, up to the checkpoint."""

    def obstacles(self, step: int, key: str) -> list[str]:
        """Why the run cannot be compared with others, one sentence each.

        Args:
            step: The optimizer step that is resumed from; 0 if the run is new.
            key: The comparability key of the training that begins.
        """
        if step and self.run_id is None:
            return [notices.new_run_from_checkpoint(step)]
        last = self.past[-1].step if self.past else 0
        found = [notices.steps_missing(last + 1, step)] if last < step else []
        if self.key not in (None, key):
            found.append(notices.other_key())
        return found

    def samples_before(self, state: Any, rows: int | None) -> int:
        """The samples before the first step that this process trains.

        Args:
            state: The trainer's state.
            rows: The rows of the training data; None for a stream.
        """
        if self.samples_seen is not None:
            return self.samples_seen
        return round((state.epoch or 0) * (rows or 0)) if state.global_step else 0


def find_earlier(output_dir: str, step: int, checkpoint: str | None) -> Resumed | None:
    """The run that a training continues.

    It is the one that the checkpoint names. A checkpoint without a note continues the
    newest readable trace of the output folder that holds its step.

    Args:
        output_dir: The output folder.
        step: The optimizer step of the checkpoint; 0 if the run is new.
        checkpoint: The folder that is resumed from, if it is known.

    Returns:
        None if the run is new.
    """
    if not step:
        return None
    note = read_note(checkpoint or Path(output_dir) / f"checkpoint-{step}")
    if note is not None and note.step == step:
        for trace in _readable([trace_path(output_dir, note.run_id)]):
            if _is_written_by_another(trace):
                logger.warning(storage_notices.resumed_by_another(trace.run["id"]))
                break
            return _resumed(trace, step, note.samples_seen)
        return Resumed(samples_seen=note.samples_seen)
    paths = sorted(Path(output_dir).glob(PATTERN), key=lambda p: p.stat().st_mtime)
    for trace in _readable(reversed(paths)):
        if _is_written_by_another(trace):
            continue
        if trace.observations and trace.observations[-1].step >= step:
            return _resumed(trace, step, None)
    return Resumed()


def _is_written_by_another(trace: Trace) -> bool:
    """Whether another process on this machine trains the run at this moment."""
    run, here = trace.run, this_process()
    try:
        process = {name: run[name] for name in here}
        if trace.end is not None or process == here:
            return False
        same_host = process["hostname"] == here["hostname"]
        return same_host and is_alive(**process, heartbeat_at=_written_at(trace))
    except (KeyError, TypeError, OSError):
        return False


def _written_at(trace: Trace) -> float:
    return trace.path.stat().st_mtime


def _readable(paths: Any) -> Iterator[Trace]:
    for path in paths:
        if not path.exists():
            continue
        try:
            yield read_trace(path)
        except SFTGuideError as error:
            logger.warning(notices.trace_skipped(error))


def _resumed(trace: Trace, step: int, samples_seen: int | None) -> Resumed:
    past = tuple(o for o in trace.observations if o.step <= step)
    if samples_seen is None and past and past[-1].step == step:
        samples_seen = past[-1].samples_seen
    events = [e for e in trace.events if e.get("step", 0) <= step]
    stops = tuple(
        event
        for event in events
        if event["event"] == "decision" and event.get("action") == "stop"
    )
    evaluations = tuple(event for event in events if event["event"] == "evaluation")
    key = trace.run.get("key")
    return Resumed(trace.run["id"], past, samples_seen, key, stops, evaluations)
