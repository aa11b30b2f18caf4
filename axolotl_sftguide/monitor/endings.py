"""How a run ends: the marker of a stopped one, and stops that outlast a resume."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..runs import marker
from ..runs.checkpoints import Note, write_note
from ..runs.traces import MEMORY_EVENT
from ..stopping.judge import Finding, Judge, JudgeState
from ..stopping.rules import Verdict
from ..units import count
from . import evaluation_notices, notices, storage_notices
from .best_evaluation import Best
from .parts import Parts

logger = logging.getLogger(__name__)


def standing(
    judge: Judge,
    state: JudgeState,
    replayed: Sequence[Finding],
    recorded: Sequence[Mapping[str, Any]],
) -> tuple[Finding, ...]:
    """The findings of a resumed run's past that stop it again.

    Args:
        judge: The judge of the run, with the actions of today.
        state: Its state after the recorded steps.
        replayed: What it found in them.
        recorded: The decisions to stop that the trace records.

    Returns:
        Findings with the action `stop` that hold at the last recorded step, or whose
        rule stopped the run before.
    """
    recorded_stops = {str(event["rule"]): event for event in recorded}
    holding = judge.holding(state)
    stops = [f for f in (*replayed, *holding) if f.action == "stop"]
    found = {finding.verdict.rule: finding for finding in stops}
    hold = {finding.verdict.rule for finding in holding if finding.action == "stop"}
    stopping = dict.fromkeys(r.name for r, action in judge.rules if action == "stop")
    return tuple(
        found.get(rule) or Finding(_verdict(recorded_stops[rule]), "stop")
        for rule in stopping
        if rule in hold or rule in recorded_stops
    )


def _verdict(event: Mapping[str, Any]) -> Verdict:
    step = int(event["step"])
    return Verdict(
        rule=str(event["rule"]),
        reason=str(event["reason"]),
        step=step,
        samples_seen=int(event.get("samples_seen", 0)),
        bad_since=step,
        reference=event.get("reference"),
    )


def mark_stop(
    output_dir: str,
    run_id: str,
    verdict: Verdict,
    *,
    step: int,
    max_steps: int,
    samples_seen: int,
    best: Best | None = None,
) -> str:
    """Mark the output folder of a stopped run, and return the message for the user."""
    checkpoint = marker.last_good_checkpoint(output_dir, verdict.bad_since)
    termination = replace(
        _termination(run_id, verdict, checkpoint, step, samples_seen),
        best_step=best.step if best else None,
        best_checkpoint=best.checkpoint if best else None,
    )
    _mark(output_dir, termination)
    if best is not None:
        return evaluation_notices.stopped(
            verdict,
            best,
            step=step,
            max_steps=max_steps,
            samples_seen=samples_seen,
            marker=marker.MARKER,
        )
    return notices.stopped(
        verdict,
        step=step,
        max_steps=max_steps,
        samples_seen=samples_seen,
        checkpoint=checkpoint,
        marker=marker.MARKER,
    )


def mark_parked(
    output_dir: str,
    run_id: str,
    verdict: Verdict,
    checkpoint: str,
    *,
    step: int,
    max_steps: int,
    samples_seen: int,
) -> str:
    """Mark the output folder of a parked run, and return the message for the user.

    The model that the host saves at the end is not fully trained, as that of a run
    that was stopped.
    """
    termination = _termination(run_id, verdict, checkpoint, step, samples_seen)
    _mark(output_dir, replace(termination, parked=True))
    return (
        f"parked at step {step} of {max_steps} ({count(samples_seen)} samples) by "
        f"{verdict.rule}: {verdict.reason}. The sweep resumes it from {checkpoint} if "
        "later runs show that it has a chance"
    )


def _mark(output_dir: str, termination: marker.Termination) -> None:
    """Write the marker; where that is not possible, the monitoring goes on."""
    try:
        marker.mark(output_dir, termination)
    except OSError as error:
        logger.warning(storage_notices.marker_not_written(output_dir, error))


def note_run(checkpoint: str, note: Note) -> None:
    """Note the run in a checkpoint; where that is not possible, it goes on."""
    try:
        write_note(checkpoint, note)
    except OSError as error:
        logger.warning(storage_notices.note_not_written(checkpoint, error))


def clear_marker(output_dir: str) -> None:
    """Remove the marker of an earlier run, if there is one."""
    try:
        marker.clear(output_dir)
    except OSError as error:
        logger.warning(storage_notices.marker_not_written(output_dir, error))


def update_marker(output_dir: str, trainer: Any, *, finished: bool) -> None:
    """Bring the marker in line with the end of the training.

    A finished run clears the marker of the run that it resumed. If the trainer has put
    back a checkpoint from before the run went bad, the weights are not lost. If the
    rule on evaluations stopped it, they are those of its best checkpoint.
    """
    if finished:
        clear_marker(output_dir)
        return
    stopped = marker.read_marker(output_dir)
    best = getattr(trainer.state, "best_model_checkpoint", None)
    loads = getattr(trainer.args, "load_best_model_at_end", False)
    if stopped is None or not best or not loads:
        return
    if stopped.best_step is not None:
        _mark(output_dir, replace(stopped, loaded_checkpoint=str(best)))
        return
    step = marker.checkpoint_step(best)
    if not stopped.weights_are_lost or step is None or step >= stopped.bad_since:
        return
    if _all_finite(trainer.model):
        _mark(output_dir, replace(stopped, loaded_checkpoint=str(best)))
        logger.info(notices.good_weights_loaded(str(best)))


def _all_finite(model: Any) -> bool:
    return all(bool(torch.isfinite(p).all()) for p in model.parameters())


def peak_bytes() -> int | None:
    """The most memory that torch held on this rank's GPU; None without a GPU.

    It counts what the allocator reserved, without CUDA's own context.
    """
    if not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return int(torch.cuda.max_memory_reserved())


def report(parts: Parts, batch_size: int | str | None, *, stopped: bool) -> None:
    """Log what was measured over a whole run, one line each, and record the memory.

    Args:
        parts: The parts of the session.
        batch_size: The effective batch size that was requested, if any.
        stopped: Whether a rule has stopped the run, and said what it leaves.
    """
    peak = peak_bytes()
    if peak is not None:
        parts.recorder.event(MEMORY_EVENT, peak_bytes=peak)
    noise_scale, batch = parts.meter.noise_scale(), parts.meter.batch
    lines = [
        noise_scale.advice() if noise_scale is not None else None,
        parts.sources.report(),
        None if stopped else parts.evaluations.report(),
    ]
    if batch_size is not None and batch.steps:
        lines.append(notices.batch_size(batch_size, batch))
    for line in lines:
        if line is not None:
            logger.info(line)


def _termination(
    run_id: str,
    verdict: Verdict,
    checkpoint: str | None,
    step: int,
    samples_seen: int,
) -> marker.Termination:
    return marker.Termination(
        run_id=run_id,
        rule=verdict.rule,
        reason=verdict.reason,
        step=step,
        samples_seen=samples_seen,
        bad_since=verdict.bad_since,
        last_good_checkpoint=checkpoint,
        found_at=verdict.step,
    )
