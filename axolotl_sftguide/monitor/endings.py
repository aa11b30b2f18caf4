"""How a run ends: the marker of a stopped one, and stops that outlast a resume."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..runs import marker
from ..stopping.judge import Finding, Judge, JudgeState
from ..stopping.rules import Verdict
from . import notices

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
) -> str:
    """Mark the output folder of a stopped run, and return the message for the user."""
    checkpoint = marker.last_good_checkpoint(output_dir, verdict.bad_since)
    termination = marker.Termination(
        run_id=run_id,
        rule=verdict.rule,
        reason=verdict.reason,
        step=step,
        samples_seen=samples_seen,
        bad_since=verdict.bad_since,
        last_good_checkpoint=checkpoint,
        found_at=verdict.step,
    )
    marked = marker.mark(output_dir, termination)
    return notices.stopped(
        verdict,
        step=step,
        max_steps=max_steps,
        samples_seen=samples_seen,
        checkpoint=checkpoint,
        marker=marked.name,
    )


def update_marker(output_dir: str, trainer: Any, *, finished: bool) -> None:
    """Bring the marker in line with the end of the training.

    A finished run clears the marker of the run that it resumed. If the trainer has put
    back a checkpoint from before the run went bad, the weights are not lost.
    """
    if finished:
        marker.clear(output_dir)
        return
    stopped = marker.read_marker(output_dir)
    best = getattr(trainer.state, "best_model_checkpoint", None)
    if stopped is None or not stopped.weights_are_lost or not best:
        return
    step = marker.checkpoint_step(best)
    loads = getattr(trainer.args, "load_best_model_at_end", False)
    if not loads or step is None or step >= stopped.bad_since:
        return
    if _all_finite(trainer.model):
        marker.mark(output_dir, replace(stopped, loaded_checkpoint=str(best)))
        logger.info(notices.good_weights_loaded(str(best)))


def _all_finite(model: Any) -> bool:
    return all(bool(torch.isfinite(p).all()) for p in model.parameters())
