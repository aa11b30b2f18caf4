"""One watched run: observes the steps, applies the rules, and records the end."""

from __future__ import annotations

import atexit
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..runs import marker
from ..runs.history import Score, Status
from ..signals import Observation
from ..stopping.judge import Finding, Judge
from . import notices
from .capture import PendingStep, StepCapture
from .faults import Guard
from .meter import RunMeter
from .norm_check import NormCheck
from .pace import Pace
from .ranks import Ranks
from .readout import CapturedStep, StepReadout
from .recorder import NoRecorder, RunRecorder, decision_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decision:
    """What to do after some steps; `stop` is the same on every rank."""

    stop: bool = False
    logs: Mapping[str, float] = field(default_factory=dict)
    """Keys for the host's own logs."""


@dataclass(frozen=True)
class Parts:
    """The parts of a session, assembled by `opening.open_run`."""

    ranks: Ranks
    guard: Guard
    capture: StepCapture
    readout: StepReadout
    meter: RunMeter
    recorder: RunRecorder | NoRecorder
    judge: Judge
    past: tuple[Observation, ...] = ()
    """The steps before a resume."""


class Session:
    """Observes one training of one trainer.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        run_id: The run's id.
        output_dir: Its output folder.
        parts: The parts of the session.
        batch_size: The effective batch size that was requested, to report at the end.
    """

    def __init__(
        self,
        trainer: Any,
        run_id: str,
        output_dir: str,
        parts: Parts,
        batch_size: int | str | None = None,
    ) -> None:
        self.run_id = run_id
        self._trainer = trainer
        self._output_dir = output_dir
        self._parts = parts
        self._batch_size = batch_size
        self._judge = parts.judge
        # A resume replays the recorded steps. Their findings are not reported again,
        # but a finding with `action: stop` that still holds stops the run.
        self._judged, _ = parts.judge.step(parts.judge.init(), parts.past)
        self._standing = tuple(
            finding
            for finding in parts.judge.holding(self._judged)
            if finding.action == "stop"
        )
        self._norms = NormCheck()
        self._pace = Pace()
        self._decision = Decision()
        self._status: Status = "finished"
        self._reason: str | None = None
        self._ended = False

    @property
    def decision(self) -> Decision:
        """The latest decision."""
        return self._decision

    def begin(self) -> None:
        """Attach to the trainer."""
        self._parts.capture.attach(on_log=self.log, on_error=self._fail)
        # A process that ends without on_train_end, as by sys.exit in a signal
        # handler, must not leave a run that is recorded as running.
        atexit.register(self.abandon, "the process ended before the training did")

    def end_step(self, learning_rate: float) -> None:
        """Close the optimizer step that the trainer has just taken."""
        self._pace.step()
        self._parts.capture.end_step(self._trainer.state.global_step, learning_rate)

    def interrupted(self) -> None:
        """Note that the host evaluated or saved between two steps."""
        self._pace.interrupt()

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        """Record the host's own evaluation."""
        numbers = {k: v for k, v in metrics.items() if isinstance(v, (int, float))}
        self._parts.recorder.evaluation(self._trainer.state.global_step, numbers)

    def scored(self, score: Score) -> None:
        """Record a score of the model."""
        self._parts.recorder.score(score)

    def log(self, logs: dict[str, Any]) -> None:
        """Observe the steps since the last log, and add this package's keys to it.

        The summary at the end of a training has no loss: its steps are recorded, and
        no rule is applied any more.
        """
        if "loss" in logs:
            steps = self._parts.capture.take()
            self._decision = self.observe(steps, logs.get("grad_norm"))
            logs.update(self._decision.logs)
        elif "train_runtime" in logs:
            self._record(self._parts.capture.take(), logs.get("grad_norm"))

    def observe(
        self, steps: Sequence[PendingStep], logged_norm: float | None = None
    ) -> Decision:
        """Read, record and judge some steps.

        Collective: if several ranks train, every rank calls it at the same place.
        An error of one rank reaches the others here, and all stop monitoring.
        """
        guard, ranks = self._parts.guard, self._parts.ranks
        window = self._record(steps, logged_norm)
        if window is None:
            return Decision()
        no_logs: dict[str, float] = {}
        no_stops: list[Finding] = []
        logs = guard.call(lambda: self._parts.meter.logs(window), no_logs)
        stops = guard.call(lambda: self._apply_rules(window), no_stops)
        stop = ranks.any(bool(stops))
        if stop:
            guard.call(lambda: self._terminate(stops), None)
        return Decision(stop, logs)

    def abandon(self, reason: str) -> None:
        """Record that the run failed, and detach from the trainer."""
        self._status, self._reason = "failed", reason
        self.end()

    def end(self) -> None:
        """Record how the run ended, and detach from the trainer.

        Not collective, because a rank may call it alone after an error. With several
        ranks, the steps since the last log are therefore left out; a training that
        finishes logs once more before this.
        """
        if self._ended:
            return
        self._ended = True
        atexit.unregister(self.abandon)
        if self._parts.ranks.count == 1:
            self._record(self._parts.capture.take(), None)
        self._parts.capture.detach()
        if self._parts.ranks.main:
            self._parts.guard.call(self._report, None)
            if self._status == "finished":
                marker.clear(self._output_dir)  # of the run that this one resumed
        self._parts.recorder.end(self._status, self._reason)

    def _record(
        self, steps: Sequence[PendingStep], logged_norm: float | None
    ) -> tuple[Observation, ...] | None:
        """The observations of some steps; None if a rank has failed. Collective."""
        parts, guard = self._parts, self._parts.guard
        table = guard.call(lambda: parts.readout.table(steps), None)
        if not parts.ranks.all_ready(not guard.failed, len(steps)) or table is None:
            parts.capture.detach()
            return None
        no_steps: list[CapturedStep] = []
        nothing: tuple[Observation, ...] = ()
        # Guarded too: after a device error nothing can be read from the device.
        captured = guard.call(lambda: parts.readout.read(steps, table), no_steps)
        return guard.call(lambda: self._enter(captured, logged_norm), nothing)

    def _enter(
        self, captured: Sequence[CapturedStep], logged_norm: float | None
    ) -> tuple[Observation, ...]:
        for step in captured:
            self._check_norm(step)
        window = self._parts.meter.observe(
            captured, logged_norm, norms_trusted=self._norms.trusted
        )
        self._parts.recorder.steps(window, step_s=self._pace.step_s)
        return window

    def _check_norm(self, step: CapturedStep) -> None:
        trusted = self._norms.trusted
        result = self._norms.check(step)
        if result is None:
            return
        self._parts.recorder.norm_check(**asdict(result))
        if trusted and not self._norms.trusted and self._parts.ranks.main:
            ratio = math.nan if result.ratio is None else result.ratio
            logger.warning(notices.wrong_norm(step.step, ratio))

    def _apply_rules(self, window: Sequence[Observation]) -> list[Finding]:
        """The findings that stop the run; the others are reported and recorded."""
        if self._status == "terminated":
            return []
        self._judged, reported = self._judge.step(self._judged, window)
        found, self._standing = [*self._standing, *reported], ()
        for finding in found:
            if finding.action == "warn" and self._parts.ranks.main:
                self._parts.recorder.decision(decision_of(finding))
                logger.warning(notices.bad_run(finding.verdict))
        return [finding for finding in found if finding.action == "stop"]

    def _terminate(self, stops: Sequence[Finding]) -> None:
        if self._status == "terminated":
            return
        self._status = "terminated"
        self._reason = "a rule on another rank stopped the run"
        if not stops or not self._parts.ranks.main:
            return
        verdict = stops[0].verdict
        self._reason = f"{verdict.rule}: {verdict.reason}"
        self._parts.recorder.decision(decision_of(stops[0]))
        checkpoint = marker.last_good_checkpoint(self._output_dir, verdict.bad_since)
        termination = marker.Termination(
            run_id=self.run_id,
            rule=verdict.rule,
            reason=verdict.reason,
            step=verdict.step,
            samples_seen=verdict.samples_seen,
            bad_since=verdict.bad_since,
            last_good_checkpoint=checkpoint,
        )
        marked = marker.mark(self._output_dir, termination)
        max_steps = self._trainer.state.max_steps
        logger.warning(
            notices.stopped(
                verdict,
                max_steps=max_steps,
                checkpoint=checkpoint,
                marker=marked.name,
            )
        )

    def _report(self) -> None:
        noise_scale = self._parts.meter.noise_scale()
        if noise_scale is not None:
            logger.info(noise_scale.advice())
        batch = self._parts.meter.batch
        if self._batch_size is not None and batch.steps:
            logger.info(notices.batch_size(self._batch_size, batch))

    def _fail(self, error: BaseException) -> None:
        name = type(error).__name__
        self.abandon(f"{name}: {error}".splitlines()[0] if str(error) else name)
