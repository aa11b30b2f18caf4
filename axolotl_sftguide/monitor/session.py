"""One watched run: observes the steps, applies the rules, and records the end."""

from __future__ import annotations

import atexit
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..runs.checkpoints import Note
from ..runs.history import Score
from ..signals import LogWindow, Observation
from ..stopping.judge import Finding
from . import endings, notices
from .capture import learning_rate
from .decisions import decision_of
from .outcome import Outcome
from .pace import Pace
from .parts import Parts
from .resume import Resumed

logger = logging.getLogger(__name__)

OBSERVE_EVERY = 16
"""Optimizer steps after which the rules are applied where logs are rarer."""


class Session:
    """Observes one training of one trainer.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        run_id: The run's id.
        output_dir: Its output folder.
        parts: The parts of the session.
        resumed: The steps before a resume. They are judged, and not kept.
        batch_size: The effective batch size that was requested, to report at the end.
    """

    def __init__(
        self,
        trainer: Any,
        run_id: str,
        output_dir: str,
        parts: Parts,
        resumed: Resumed,
        batch_size: int | str | None = None,
    ) -> None:
        self.run_id = run_id
        self._trainer = trainer
        self._output_dir = output_dir
        self._parts = parts
        self._batch_size = batch_size
        self._judge = parts.judge
        # A resume replays the recorded steps. Findings that only warn are not reported
        # again; a run that a rule stopped, or would stop now, is stopped again.
        judged, replayed = parts.judge.step(parts.judge.init(), resumed.past)
        self._judged = judged.resumed()
        self._standing = (
            *endings.standing(parts.judge, self._judged, replayed, resumed.stops),
            *parts.evaluations.standing(),
        )
        self._pace = Pace()
        self._learning_rate = math.nan
        self._window = LogWindow()
        self._observed_at: int = trainer.state.global_step
        self._watching = True
        self._unseen = False
        self._outcome = Outcome(trainer, output_dir, run_id, parts)
        self._ended = False
        self.due_save_is_good = False
        """Whether a stop leaves the weights good enough for a save that is due."""
        self._process_id = os.getpid()

    @property
    def should_stop(self) -> bool:
        """Whether a rule has stopped or parked the run; the same on every rank."""
        return self._outcome.stopped

    @property
    def is_parked(self) -> bool:
        """Whether the run ends with a checkpoint that its sweep may resume."""
        return self._outcome.status == "parked"

    @property
    def should_park(self) -> bool:
        """Whether the run ends at its next checkpoint; the same on every rank."""
        return self._outcome.parks

    def request_save(self, checkpoint: str, *, due: bool) -> None:
        """Note that the run will be parked at this step, where a save may be due."""
        self._outcome.request_save(checkpoint, due=due)

    def begin(self) -> None:
        """Attach to the trainer."""
        self._parts.capture.attach(on_log=self.log)
        # Where the callback was removed in mid-run, nothing else announces the end.
        self._parts.loop.attach(
            on_error=self._fail, on_end=lambda: self._quietly(self.end)
        )
        self._parts.sources.attach()
        self._parts.evaluations.attach()
        # A process that ends without on_train_end, as by sys.exit in a signal
        # handler, must not leave a run that is recorded as running.
        atexit.register(self._at_exit)

    def note_rate(self, optimizer: Any) -> None:
        """Note the learning rate of the step that is taken now."""
        self._learning_rate = learning_rate(optimizer)

    def end_step(self) -> None:
        """Close the optimizer step that the trainer has just taken."""
        self._pace.step()
        capture, rate = self._parts.capture, self._learning_rate
        seen = self._parts.guard.call(lambda: capture.end_step(rate), True)
        if not seen and not self._unseen:
            self._unseen = True
            if self._parts.ranks.main:
                logger.warning(notices.steps_not_seen(type(self._trainer).__name__))
        # The same on every rank, whatever has failed on one of them.
        step = self._trainer.state.global_step
        if step - self._observed_at >= OBSERVE_EVERY or self._is_saved_at(step):
            self.observe()

    def interrupted(self) -> None:
        """Note that the host evaluated or saved between two steps."""
        self._pace.interrupt()

    def saved(self, checkpoint: str) -> None:
        """Note the run in the checkpoint that the trainer has just saved."""
        self.interrupted()
        self._parts.evaluations.saved()
        ranks, meter = self._parts.ranks, self._parts.meter
        # Several ranks observed at the end of the step: they may save alone.
        if ranks.count == 1:
            self.observe()
        if ranks.main and self._observed_at == self._trainer.state.global_step:
            extra = self._outcome.saves_extra
            note = Note(self.run_id, self._observed_at, meter.samples_seen, extra)
            self._parts.guard.call(lambda: endings.note_run(checkpoint, note), None)
        self._outcome.saved(checkpoint, self._observed_at)

    def evaluated(self, metrics: Mapping[str, Any]) -> None:
        """Record the host's own evaluation, and apply the rule on evaluations.

        Collective where that rule is on, as the evaluation itself is.
        """
        step, watch = self._trainer.state.global_step, self._parts.evaluations
        numbers = {k: v for k, v in metrics.items() if isinstance(v, (int, float))}
        self._parts.recorder.evaluation(step, numbers)
        if not watch.on:
            return
        if step > self._observed_at:
            self.observe()
        if not self.should_stop:
            samples = self._parts.meter.samples_seen
            self._decide(lambda: watch.evaluated(samples, numbers))
            if self.should_stop:
                bad = self._parts.ranks.any(not watch.last_is_finite)
                self.due_save_is_good = not bad

    def scored(self, score: Score) -> None:
        """Record a score of the model."""
        self._parts.recorder.score(score)

    def log(self, logs: dict[str, Any]) -> None:
        """Observe the steps since the last time, and add this package's keys to a log.

        The summary at the end of a training has no loss and gets no keys.
        """
        self._parts.sources.log(logs)
        if "loss" not in logs and "train_runtime" not in logs:
            return
        self.observe(logs.get("grad_norm"))
        window, self._window = self._window, LogWindow()
        if "loss" in logs and self._watching:
            no_logs: dict[str, float] = {}
            meter = self._parts.meter
            logs.update(self._parts.guard.call(lambda: meter.logs(window), no_logs))

    def observe(self, logged_norm: float | None = None) -> None:
        """Read, record and judge the steps since the last call.

        Collective: if several ranks train, every rank calls it at the same place.
        An error of one rank reaches the others here, and all stop monitoring.
        """
        if not self._watching or self._in_forked_child:
            return
        self._observed_at = self._trainer.state.global_step
        steps = self._parts.capture.take()
        window = self._parts.observer.observe(steps, logged_norm, self._pace.step_s)
        if window is None:
            self._watching = False
            self._parts.capture.detach()
            return
        self._window.add(window)
        self._decide(lambda: self._apply_rules(window))

    def finish(self) -> None:
        """Record the end that the trainer has announced, and detach from it."""
        pruned = self._parts.loop.in_epoch
        if not pruned or self._parts.ranks.count == 1:
            self.observe()
        if pruned and self._outcome.status == "finished":
            # A hyperparameter search announces the end of a trial that it prunes.
            self._outcome.status = "terminated"
            step = self._trainer.state.global_step
            reason = f"ended at step {step} by the hyperparameter search"
            self._outcome.reason = reason
        elif self._unseen:
            self._outcome.reason = "its steps could not be seen"
        self.end()

    def abandon(self, reason: str) -> None:
        """Record that the run failed, and detach from the trainer."""
        if not self._ended:
            self._outcome.status, self._outcome.reason = "failed", reason
            self.end()

    def end(self) -> None:
        """Record how the run ended, and detach from the trainer.

        Not collective, because a rank may call it alone after an error. With several
        ranks, the steps since the last log are therefore left out; a training that
        finishes logs once more before this.
        """
        if self._ended or self._in_forked_child:
            return
        self._ended = True
        atexit.unregister(self._at_exit)
        if self._parts.ranks.count == 1:
            steps = self._parts.capture.take()
            self._parts.observer.observe(steps, None, self._pace.step_s)
        self._watching = False
        self._parts.sources.end(alone=self._parts.ranks.count == 1)
        self._parts.evaluations.detach()
        self._parts.capture.detach()
        self._parts.loop.detach()
        if self._parts.ranks.main:
            self._parts.guard.call(self._report, None)
            finished = self._outcome.status == "finished"
            endings.update_marker(self._output_dir, self._trainer, finished=finished)
        self._parts.recorder.end(self._outcome.status, self._outcome.reason)

    def _is_saved_at(self, step: int) -> bool:
        """Whether all ranks save after this step, as its arguments say."""
        args, state = self._trainer.args, self._trainer.state
        if self._parts.ranks.count == 1 or args.save_strategy == "no":
            return False
        return step >= state.max_steps or not step % (state.save_steps or 1)

    def _apply_rules(self, window: Sequence[Observation]) -> list[Finding]:
        self._judged, reported = self._judge.step(self._judged, window)
        found, self._standing = [*self._standing, *reported], ()
        return found

    def _decide(self, find: Callable[[], list[Finding]]) -> None:
        """Warn or stop because of what the rules find. Collective."""
        if not self._watching or self._in_forked_child:
            return
        guard, no_stops = self._parts.guard, list[Finding]()
        stops = guard.call(lambda: self._stops_among(find), no_stops)
        self._outcome.decide(stops, self._observed_at)

    def _stops_among(self, find: Callable[[], list[Finding]]) -> list[Finding]:
        """The findings that end the run; the others are reported and recorded."""
        if self.should_stop:
            return []
        found = find()
        for finding in found:
            if finding.action == "warn" and self._parts.ranks.main:
                self._parts.recorder.decision(decision_of(finding))
                logger.warning(notices.bad_run(finding.verdict))
        return [finding for finding in found if finding.action != "warn"]

    def _report(self) -> None:
        endings.report(self._parts, self._batch_size, stopped=self.should_stop)

    @property
    def _in_forked_child(self) -> bool:
        """Whether this is only the copy of the run in a child of its process."""
        return os.getpid() != self._process_id

    def _at_exit(self) -> None:
        self.abandon("the process ended before the training did")

    def _fail(self, error: BaseException) -> None:
        name = type(error).__name__
        text = f"{name}: {error}".splitlines()[0] if str(error) else name
        self._quietly(lambda: self.abandon(text))

    def _quietly(self, end: Callable[[], None]) -> None:
        try:
            end()
        except Exception:
            logger.debug("traceback of the internal error", exc_info=True)
