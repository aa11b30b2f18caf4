"""What the held-out loss says of the number of epochs, and of the sources."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..signals.sources import MARGIN
from ..units import count, number
from ._advice import Advice, Reason, Unclear
from ._record import Record

_LEAST = 3
"""Fewer evaluations say nothing about a turn."""

_AFTER = 2
"""So many evaluations after the lowest have to be higher."""

Evaluations = Sequence[tuple[int, float]]


def held_out(record: Record) -> Iterator[Advice]:
    """Fewer epochs if the held-out loss has turned."""
    lowest = turned(record.evaluations)
    if lowest is None:
        return
    step, value = lowest
    last_step, last = record.evaluations[-1]
    key = record.names.epochs
    epochs = _epochs_at(record, step)
    where = f"step {count(step)}" + (f", epoch {epochs:.2g}" if epochs else "")
    reasons = [
        Reason(
            f"the held-out loss was lowest at {where} ({number(value)}), and "
            f"{number(last)} at step {count(last_step)}"
        )
    ]
    certain = record.result is not None and "loss" in record.result.metric
    if record.goal == "style":
        # Chat scores rose while the loss on held-out rows did; nothing is certain.
        return
    if not certain:
        reasons.append(
            Reason("scores other than the loss may rise longer", "two-epochs")
        )
    to = _half(epochs) if epochs else None
    yield Advice(
        "held-out-rose",
        key,
        f"use the checkpoint near step {count(step)}"
        + (f", or set {key}: {to:g}" if to else ", or train fewer epochs"),
        tuple(reasons),
        "high" if certain else "moderate",
        now=_epochs_at(record, record.step),
        to=to,
        direction="lower",
        edits={key: to} if to else {},
    )


def style_is_open(record: Record) -> Iterator[Unclear]:
    """Whether to train less where the held-out loss rose and chat is the goal."""
    lowest = turned(record.evaluations)
    if lowest is not None and record.goal == "style":
        yield Unclear(
            record.names.epochs,
            record.config.get(record.names.epochs),
            f"the held-out loss was lowest at step {count(lowest[0])}, but chat scores "
            "rose beyond that in published runs: score both checkpoints",
            claims=("two-epochs",),
        )


def turned(evaluations: Evaluations) -> tuple[int, float] | None:
    """The lowest evaluation, if the later ones are clearly higher; else None.

    At least two evaluations follow it, each is higher, and the last by 1% or more.
    """
    finite = [(s, v) for s, v in evaluations if s > 0 and math.isfinite(v)]
    if len(finite) < _LEAST:
        return None
    place = min(range(len(finite)), key=lambda i: finite[i][1])
    step, lowest = finite[place]
    after = [value for _, value in finite[place + 1 :]]
    if len(after) < _AFTER or after[-1] < lowest + MARGIN * abs(lowest):
        return None
    return (step, lowest) if min(after) > lowest else None


def sources(record: Record) -> Iterator[Advice]:
    """Train less on a source whose held-out loss rises while that of others falls."""
    worn = [
        s
        for s in record.sources
        if not s.improves and s.last > s.before + MARGIN * abs(s.before)
    ]
    others = [s for s in record.sources if s.improves]
    if not worn or not others:
        return
    first = min(worn, key=lambda source: source.before_step)
    yield Advice(
        "source-worn",
        "sftguide.mix" if "sftguide.mix.phases" in record.config else "",
        f"train less on {first.name}: fewer repeats, a smaller share, or more of its "
        "rows",
        (
            Reason(
                f"its held-out loss rose from {number(first.before)} at step "
                f"{count(first.before_step)} to {number(first.last)}, while that of "
                f"{', '.join(s.name for s in others)} still fell"
            ),
        ),
        "moderate",
    )


def _epochs_at(record: Record, step: int) -> float | None:
    if not record.epochs or not record.step:
        return None
    return record.epochs * step / record.step


def _half(epochs: float) -> float:
    """The nearest number of epochs that a config would have: in halves from 1 on."""
    if epochs < 1:
        return float(f"{epochs:.1g}")
    return round(2 * epochs) / 2
