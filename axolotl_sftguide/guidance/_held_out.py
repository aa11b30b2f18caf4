"""Changes of the epochs and the sources, by the held-out loss."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean, median

from ..signals.sources import MARGIN
from ..units import count, number
from ._advice import Advice, Reason, Unclear
from ._record import Record, as_number
from ._text import shown

_LEAST = 3
"""Fewer evaluations cannot show that the loss rose again."""

_AFTER = 2
"""So many evaluations after the lowest have to be higher."""

Evaluations = Sequence[tuple[int, float]]


def held_out(record: Record) -> Iterator[Advice]:
    """Fewer epochs if the held-out loss has turned, and that loss is the score."""
    lowest = turned(record.evaluations)
    if lowest is None or not _is_judged_by_loss(record):
        return
    step, value = lowest
    last_step, last = record.evaluations[-1]
    epochs = _epochs_at(record, step)
    key, to = record.length(_half(epochs)) if epochs else (record.names.epochs, None)
    where = f"step {count(step)}" + (f", epoch {epochs:.2g}" if epochs else "")
    yield Advice(
        "held-out-rose",
        key,
        f"use the checkpoint near step {count(step)}"
        + (f", or set {key}: {shown(to)}" if to else ", or train fewer epochs"),
        (
            Reason(
                f"the held-out loss was lowest at {where} ({number(value)}), and "
                f"{number(last)} at step {count(last_step)}"
            ),
        ),
        "high",
        now=record.config.get(key),
        to=to,
        direction="lower",
        edits={key: to} if to else {},
    )


def questions(record: Record) -> Iterator[Unclear]:
    """Whether to train less or longer, where the held-out loss does not decide."""
    key, _ = record.length(1)
    now, lowest = record.config.get(key), turned(record.evaluations)
    if lowest is not None and not _is_judged_by_loss(record):
        step, value = lowest
        yield Unclear(
            key,
            now,
            f"the held-out loss was lowest at step {count(step)} ({number(value)}; "
            f"{number(record.evaluations[-1][1])} at the end), but scores often rise "
            "longer than the loss falls: score the checkpoint near that step too",
            claims=("two-epochs",),
        )
    elif falls(record) and record.goal != "reasoning":
        steps = len(record.evaluations)
        before, last = (record.evaluations[i][1] for i in (steps - 2, steps - 1))
        yield Unclear(
            key,
            now,
            f"the held-out loss still fell at the end (from {number(before)} to "
            f"{number(last)}): more epochs would lower it further, and may or may not "
            "raise a score",
            _longer(record),
            ("two-epochs",),
        )


def turned(evaluations: Evaluations) -> tuple[int, float] | None:
    """The lowest evaluation, if the later ones are clearly higher; else None.

    At least two evaluations follow it, and the last lies 1% or more above the lowest.
    Of three neighbours the median counts, so that one low evaluation is no turn.
    """
    finite = [(s, v) for s, v in evaluations if s > 0 and math.isfinite(v)]
    if len(finite) < _LEAST:
        return None
    values = [value for _, value in finite]
    smooth = [
        median(values[i - 1 : i + 2]) if 0 < i < len(values) - 1 else values[i]
        for i in range(len(values))
    ]
    lowest = min(smooth)
    place = min(range(len(values)), key=values.__getitem__)
    rise = min(smooth[-1], fmean(values[-2:])) - lowest
    if len(values) - 1 - place < _AFTER or rise < MARGIN * abs(lowest):
        return None
    return finite[place]


def falls(record: Record) -> bool:
    """Whether the held-out loss still fell at the end, at a rate that was constant.

    With a decay, the loss falls at the end because the rate does.
    """
    values = [v for s, v in record.evaluations if s > 0 and math.isfinite(v)]
    constant = str(record.config.get(record.names.schedule)).startswith("constant")
    if len(values) < _LEAST or not constant or record.done < 1:
        return False
    return values[-1] == min(values) and values[-1] < (1 - MARGIN) * values[-2]


def _is_judged_by_loss(record: Record) -> bool:
    """Whether the score is that held-out loss, as in a run without another score."""
    return record.result is None or "loss" in record.result.metric


def _longer(record: Record) -> tuple[float | int, ...]:
    """Half as many epochs again."""
    key, _ = record.length(1)
    now = as_number(record.config.get(key))
    if now is None or now <= 0:
        return ()
    return (round(1.5 * now) if key == "max_steps" else max(1, math.ceil(1.5 * now)),)


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
