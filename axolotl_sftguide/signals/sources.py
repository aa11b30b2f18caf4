"""The loss of each source of a dataset: sums over steps, curves, held-out loss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..units import count, number

LATEST = 2
"""The last evaluations, in which a source has to reach a new lowest loss."""
MARGIN = 0.01
"""By what share a loss has to be lower to count as lower."""

TRAINING_EVENT = "loss_by_source"
HELD_OUT_EVENT = "held_out_loss_by_source"


@dataclass(frozen=True, slots=True)
class SourceLosses:
    """The loss of each source over some steps, or over one evaluation."""

    step: int
    """The optimizer step at which it was read."""
    loss: Mapping[str, float]
    """The mean cross-entropy over the trained tokens of each source that had any."""
    tokens: Mapping[str, int]
    """The trained tokens of each of them."""
    unknown_tokens: int = 0
    """Trained tokens whose source is not known."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The held-out loss of one source."""

    name: str
    before: float
    """The lowest loss before the last evaluations."""
    before_step: int
    last: float
    """The loss at the last evaluation."""
    last_step: int
    improves: bool
    """Whether the last evaluations have a loss that is lower by the margin."""


def total(parts: Iterable[SourceLosses]) -> SourceLosses | None:
    """Several windows as one, each token with the same weight."""
    parts = list(parts)
    if not parts:
        return None
    tokens: dict[str, int] = {}
    sums: dict[str, float] = {}
    for part in parts:
        for name, own in part.tokens.items():
            tokens[name] = tokens.get(name, 0) + own
            sums[name] = sums.get(name, 0.0) + part.loss[name] * own
    loss = {name: sums[name] / own for name, own in tokens.items()}
    unknown = sum(part.unknown_tokens for part in parts)
    return SourceLosses(parts[-1].step, loss, tokens, unknown)


_MOST_TOKENS = 2**53
"""More cannot be told apart by floats, and no run has seen as many."""


def read_events(events: Iterable[Mapping[str, Any]], name: str) -> list[SourceLosses]:
    """The losses in the events of a trace, in order; broken ones are left out.

    Args:
        events: The events of a trace.
        name: `TRAINING_EVENT` or `HELD_OUT_EVENT`.
    """
    found = []
    for event in events:
        if event.get("event") != name:
            continue
        try:
            tokens = {str(k): int(v) for k, v in event["tokens"].items()}
            loss = {k: float(event["loss"][k]) for k in tokens}
            unknown, step = int(event.get("unknown_tokens", 0)), int(event["step"])
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            continue
        if all(0 < count < _MOST_TOKENS for count in tokens.values()):
            found.append(SourceLosses(step, loss, tokens, unknown))
    return found


def held_out(evaluations: Sequence[SourceLosses]) -> list[HeldOut]:
    """Which sources still improve on their held-out part.

    A source improves if its lowest loss of the last two evaluations is at least 1%
    below the lowest before them. A source with fewer than three evaluations, or with
    a loss that is not finite, is left out.
    """
    series: dict[str, dict[int, float]] = {}
    for evaluation in evaluations:
        for name, loss in evaluation.loss.items():
            series.setdefault(name, {})[evaluation.step] = loss
    found = []
    for name, by_step in series.items():
        points = list(by_step.items())
        early, late = points[:-LATEST], points[-LATEST:]
        if not early or not all(math.isfinite(loss) for _, loss in points):
            continue
        step, lowest = min(early, key=lambda point: point[1])
        improves = min(loss for _, loss in late) < (1 - MARGIN) * lowest
        found.append(HeldOut(name, lowest, step, late[-1][1], late[-1][0], improves))
    return found


def sources_apart(sources: Sequence[HeldOut]) -> str | None:
    """Which sources no longer improve while others do; None if all are alike."""
    ended = [s for s in sources if not s.improves]
    others = [s for s in sources if s.improves]
    if not ended or not others:
        return None

    def figures(source: HeldOut) -> str:
        before = f"{number(source.before)} at step {count(source.before_step)}"
        return f"{source.name} ({before}, {number(source.last)} at the end)"

    return (
        "held-out loss no longer improves for "
        f"{', '.join(map(figures, ended))}, and still does for "
        f"{', '.join(map(figures, others))}"
    )
