"""Writes one run to its trace and to the run history; an error never ends the run."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import SFTGuideError, TraceError
from ..runs.evaluation_losses import evaluation_losses
from ..runs.history import Decision, RunHistory, Score, Status
from ..runs.history_writer import HistoryWriter
from ..runs.traces import TraceWriter, parse_trace, trace_path
from ..signals import Observation
from . import storage_notices as told
from .growing_curve import GrowingCurve

_PROGRESS_EVERY_S = 1.0
_OPENING_S = 0.5
"""Seconds that the start waits for a locked history, and writes after a failed one."""

_LAST_WRITES_S = 15.0
"""Seconds that the end of a run waits for the history."""
_PATIENCE_S = 10.0
"""Seconds that it waits for a single write."""
_LOCKED_S = 1.0
"""Seconds after which a write to a locked file is given up, to be caught up later."""
_MOST_KEPT_BYTES = 64 * 2**20
"""How much of a trace is kept in memory while its disk is full."""


def new_run_id() -> str:
    """An id such as `20261120-221334-9f3a07c4`: UTC start and random digits."""
    # `secrets`, not `random`: drawing from the global generator would change the run.
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


class RunRecorder:
    """The trace and the history entry of one run.

    The trace is written immediately, the history by its own thread. If one of them
    fails, `warn` is called once and the other one continues. What the history missed is
    imported from the trace later, at the latest when the run ends.

    Args:
        run: The first line of the trace: identity, key, configuration.
        storage: URL or path of the run history, or None for the default.
        trace: Whether to write a trace.
        warn: Called with one line when recording fails.
        resumed_at: The optimizer step from which a run is resumed, if it is.
        past: Its steps before that.
    """

    def __init__(
        self,
        run: dict[str, Any],
        *,
        storage: str | None,
        trace: bool,
        warn: Callable[[str], None],
        resumed_at: int | None = None,
        past: Sequence[Observation] = (),
    ) -> None:
        self.run_id: str = run["id"]
        self.trace_path = trace_path(run["output_dir"], self.run_id)
        self._warn = warn
        self._storage = storage
        self._progress_at = -math.inf
        self._last: Observation | None = None
        self._curve = GrowingCurve(run["max_steps"], resumed_at or 0, past)
        self._comparable: bool = run["comparable"]
        self._evaluated: dict[str, float] = {}
        self._scored = False
        self._step_s: float | None = None
        self._trace: TraceWriter | None = None
        self._history: RunHistory | None = None
        self._writer: HistoryWriter | None = None
        self._history_reported = False
        self._trace_reported = False
        self._trace_given_up = False
        self._ended: tuple[Status, str | None, float] | None = None
        if trace:
            self._guard_trace(lambda: self._open_trace(run, resumed_at))
        whole = self._trace is not None
        row = {**run, "trace_path": str(self.trace_path.resolve()) if whole else None}
        self._row = row
        self._open_history(row, resumed=resumed_at is not None)

    @property
    def history(self) -> RunHistory | None:
        """The run history, while it is reachable."""
        return self._history

    def steps(
        self, observations: Sequence[Observation], *, step_s: float | None = None
    ) -> None:
        """Append optimizer steps, and note the mean seconds of a step so far."""
        self._step_s = step_s
        if not observations:
            return
        self._last = observations[-1]
        self._comparable = self._comparable and all(o.measured for o in observations)
        self._to_trace(lambda trace: trace.steps(observations))
        self._add_points(observations)
        if time.monotonic() - self._progress_at >= _PROGRESS_EVERY_S:
            self._note_progress()

    def _add_points(self, observations: Sequence[Observation]) -> None:
        points = self._curve.add(observations)
        if points:
            self._to_history(lambda h: h.add_points(self.run_id, points))

    def decision(self, decision: Decision) -> None:
        """Record what a rule decided."""
        self._to_trace(lambda trace: trace.event("decision", **asdict(decision)))
        self._to_history(lambda h: h.add_decision(self.run_id, decision))

    def score(self, score: Score) -> None:
        """Record a score."""
        self._scored = True
        self._to_trace(lambda trace: trace.event("score", **asdict(score)))
        self._to_history(lambda h: h.add_score(self.run_id, score))

    def evaluation(self, step: int, metrics: dict[str, float]) -> None:
        """Record the host's own evaluation."""
        # With several evaluation sets, each is evaluated for itself.
        self._evaluated.update(metrics)
        self._to_trace(lambda t: t.event("evaluation", step=step, metrics=metrics))

    def event(self, name: str, **values: Any) -> None:
        """Write an event into the trace only."""
        self._to_trace(lambda trace: trace.event(name, **values))

    def norm_check(self, **found: Any) -> None:
        """Record whether the captured norm agrees with a second computation."""
        self._to_trace(lambda trace: trace.event("norm_check", **found))

    def end(self, status: Status, reason: str | None = None) -> None:
        """Record how the run ended, and close the trace and the history.

        The last evaluation loss becomes the score of a finished run without a score;
        with several evaluation sets, the loss on each.
        """
        if status == "finished" and not self._scored:
            for metric, loss in evaluation_losses(self._evaluated).items():
                self.score(Score(metric, loss, "min"))
        at, ended = time.time(), {"status": status, "reason": reason}
        self._ended = status, reason, at
        self._to_trace(lambda t: t.event("end", **ended, at=at, step_s=self._step_s))
        self._note_progress()
        self._to_history(lambda h: h.end(self.run_id, status, reason, at=at))
        if not self._history_is_whole():
            folder = self.trace_path.parent if self._trace is not None else None
            self._warn(told.import_later(folder))
        self._to_trace(lambda trace: trace.close())
        if self._trace is not None and self._trace.kept_bytes:
            self._warn(told.trace_cut(self.trace_path))
        self._trace = None

    def _open_trace(self, run: dict[str, Any], resumed_at: int | None) -> None:
        going_on = resumed_at is not None and self.trace_path.exists()
        self._trace = TraceWriter(self.trace_path)
        if going_on:
            self._trace.event("resume", step=resumed_at, at=time.time(), run=run)
        else:
            self._trace.begin(run)

    def _open_history(self, row: dict[str, Any], *, resumed: bool) -> None:
        # Opened here to enter the run and to read what it is compared with; all later
        # writing is done by a thread.
        catches_up, entered = resumed and self._trace is not None, False
        try:
            self._history = RunHistory(self._storage, timeout_s=_OPENING_S)
            if not catches_up:
                self._history.begin(row)
                entered = True
        except SFTGuideError as error:
            self._history_failed(error, compared=self._history is not None)
        self._writer = HistoryWriter(
            None,
            heartbeat=lambda history: history.progress(self.run_id),
            catch_up=self._enter_from_trace if self._trace is not None else None,
            begin=lambda history: history.begin(row),
            on_fault=self._history_failed,
            reopen=self._reopen_history,
        )
        if catches_up:
            # The history may lack the last steps that the trace holds.
            self._to_history(self._enter_from_trace)
        elif not entered:
            self._to_history(lambda history: history.begin(row))

    def _note_progress(self) -> None:
        self._progress_at = time.monotonic()
        self._to_history(self._write_progress)

    def _write_progress(self, history: RunHistory) -> None:
        """Write the newest state; called by the thread that writes."""
        last = self._last
        if last is None:
            return
        history.progress(
            self.run_id,
            step=last.step,
            samples_seen=last.samples_seen,
            loss=last.loss,
            grad_norm=last.grad_norm,
            comparable=self._comparable,
            step_s=self._step_s,
        )

    def _enter_from_trace(self, history: RunHistory) -> None:
        trace = self._trace
        try:
            content = trace.content() if trace else self.trace_path.read_bytes()
            history.import_trace(parse_trace(self.trace_path, content))
        except (OSError, TraceError):
            history.begin(self._row)
            self._enter_last(history)
        else:
            if self._trace_given_up:
                self._enter_last(history)

    def _enter_last(self, history: RunHistory) -> None:
        """Enter what is known of a run whose trace is not whole."""
        self._write_progress(history)
        if self._ended is not None:
            status, reason, at = self._ended
            history.end(self.run_id, status, reason, at=at)

    def _history_is_whole(self) -> bool:
        if self._history is not None:
            self._history.close()
        return self._writer is None or self._writer.finish(_LAST_WRITES_S, _PATIENCE_S)

    def _to_trace(self, write: Callable[[TraceWriter], None]) -> None:
        trace = self._trace
        if trace is not None:
            self._guard_trace(lambda: write(trace))

    def _to_history(self, write: Callable[[RunHistory], None]) -> None:
        if self._writer is not None:
            self._writer.put(write)

    def _guard_trace(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            kept = self._trace.kept_bytes if self._trace is not None else 0
            retried = 0 < kept <= _MOST_KEPT_BYTES
            if not retried:
                self._trace, self._trace_given_up = None, True
            if not self._trace_reported or not retried:
                self._trace_reported = True
                self._warn(told.trace_lost(self.trace_path, error, kept=retried))

    def _reopen_history(self) -> RunHistory:
        timeout_s = _OPENING_S if self._history_reported else _LOCKED_S
        return RunHistory(self._storage, timeout_s=timeout_s)

    def _history_failed(self, error: SFTGuideError, *, compared: bool = True) -> None:
        if not self._history_reported:
            self._history_reported = True
            traced = self._trace is not None
            self._warn(told.history_lost(error, traced=traced, compared=compared))


def output_folder(path: str | Path | None) -> str:
    """The output folder as an absolute path."""
    return str(Path(path or ".").resolve())
