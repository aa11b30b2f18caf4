"""How a run ends, as its rules decide: on all ranks alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ..runs.checkpoints import Note, begin_checkpoint
from ..runs.history import Status
from ..stopping.judge import Finding
from ..stopping.rules import Verdict
from . import endings
from .decisions import decision_of
from .parts import Parts

logger = logging.getLogger(__name__)


class Outcome:
    """The status of a run and its reason.

    Args:
        trainer: The trainer.
        output_dir: The output folder, which is marked if the run does not finish.
        run_id: The run's id.
        parts: The parts of its session.
    """

    def __init__(
        self, trainer: Any, output_dir: str, run_id: str, parts: Parts
    ) -> None:
        self.status: Status = "finished"
        self.reason: str | None = None
        self._trainer = trainer
        self._output_dir = output_dir
        self._run_id = run_id
        self._parts = parts
        self._parks = False
        self._parked: Verdict | None = None
        self._extra_at: int | None = None

    @property
    def stopped(self) -> bool:
        """Whether a rule has stopped or parked the run."""
        return self.status in ("terminated", "parked")

    @property
    def parks(self) -> bool:
        """Whether the run ends at its next checkpoint."""
        return self._parks and not self.stopped

    def decide(self, found: Sequence[Finding], step: int) -> None:
        """Stop or park the run if any rank has found a reason. Collective."""
        ranks, guard = self._parts.ranks, self._parts.guard
        if not ranks.any(bool(found)) or self.stopped:
            return
        # Not guarded: a rank on which something failed stops with the others.
        stops = [finding for finding in found if finding.action == "stop"]
        if ranks.any(bool(stops)):
            self.status = "terminated"
            self.reason = "a rule on another rank stopped the run"
            guard.call(lambda: self._stop(stops, step), None)
        else:
            self._parks = True
            guard.call(lambda: self._note_parking(found), None)

    def request_save(self, checkpoint: str, *, due: bool) -> None:
        """Note whether the save at this step is made to park the run only.

        The first call at a step counts: later ones find the save requested. The note
        is there before the save, so that a kill meanwhile leaves nothing unnoted.
        """
        step = self._trainer.state.global_step
        if due or self._extra_at == step:
            return
        self._extra_at = step
        if self._parts.ranks.main:
            samples = self._parts.meter.samples_seen
            note = Note(self._run_id, step, samples, only_parked=True)
            self._parts.guard.call(lambda: begin_checkpoint(checkpoint, note), None)

    @property
    def saves_extra(self) -> bool:
        """Whether a save at this step is made to park the run only."""
        return self.parks and self._extra_at == self._trainer.state.global_step

    def saved(self, checkpoint: str, step: int) -> None:
        """Park a run that waits for this checkpoint."""
        if not self.parks:
            return
        self.status = "parked"
        self.reason = "a rule on another rank parked the run"
        self._parts.guard.call(lambda: self._park(checkpoint, step), None)

    def _stop(self, stops: Sequence[Finding], step: int) -> None:
        if not stops or not self._parts.ranks.main:
            return
        verdict = stops[0].verdict
        self.reason = f"{verdict.rule}: {verdict.reason}"
        self._parts.recorder.decision(decision_of(stops[0]))
        best = self._parts.evaluations.best_of(verdict)
        line = endings.mark_stop(
            self._output_dir, self._run_id, verdict, best=best, **self._place(step)
        )
        logger.warning(line)

    def _note_parking(self, found: Sequence[Finding]) -> None:
        if found and self._parts.ranks.main:
            self._parked = found[0].verdict
            self._parts.recorder.decision(decision_of(found[0]))

    def _park(self, checkpoint: str, step: int) -> None:
        verdict = self._parked
        if verdict is None:
            return
        self.reason = f"{verdict.rule}: {verdict.reason}"
        line = endings.mark_parked(
            self._output_dir, self._run_id, verdict, checkpoint, **self._place(step)
        )
        logger.warning(line)

    def _place(self, step: int) -> dict[str, int]:
        return {
            "step": step,
            "max_steps": self._trainer.state.max_steps,
            "samples_seen": self._parts.meter.samples_seen,
        }
