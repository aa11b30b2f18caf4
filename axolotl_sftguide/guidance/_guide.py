"""Applies all rules in order; if two disagree, the more certain one is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from . import _endings, _held_out, _published, _speed
from ._advice import Advice, Guidance, Unclear
from ._base import below_base
from ._compared import compared
from ._comparison import SAMPLES, Comparison
from ._missing import missing
from ._open import unclear
from ._record import Record
from ._supported import edges, gaps, kept

_RULES: tuple[Callable[[Record], Iterator[Advice]], ...] = (
    below_base,
    _held_out.held_out,
    _published.published,
    _held_out.sources,
    _speed.lengths,
    _speed.memory,
)
"""The order in which advice is given."""

_ORDER = {"high": 0, "moderate": 1}


def guide(record: Record) -> Guidance:
    """What to change after a run, and why.

    Args:
        record: What is known of the run and of the runs beside it.
    """
    comparison = Comparison.of(record)
    found = list(_endings.endings(record))
    found += compared(comparison)
    found += [advice for rule in _RULES for advice in rule(record)]
    heard, disputed = _without_disputes(found)
    supported = dict(kept(comparison))
    open_between = list(gaps(comparison))
    questions = [
        *disputed,
        *edges(comparison),
        *open_between,
        *_held_out.questions(record),
        *unclear(record, comparison.tried()),
    ]
    settled = supported.keys() - {question.key for question in open_between}
    settled |= {advice.key for advice in heard}
    if SAMPLES in settled:
        settled.add(record.names.accumulation)
    return Guidance(
        tuple(heard),
        tuple(_once(questions, settled)),
        tuple(missing(comparison)),
        (*supported.values(), *_speed.whole_rows(record)),
    )


def _once(questions: list[Unclear], settled: set[str]) -> Iterator[Unclear]:
    """The first question on each key that is not settled."""
    asked = set(settled)
    for question in questions:
        if question.key not in asked:
            asked.add(question.key)
            yield question


def _without_disputes(found: list[Advice]) -> tuple[list[Advice], list[Unclear]]:
    """One advice for each key; of two that disagree, the more certain one.

    If both are as certain, the question is unclear.
    """
    heard: list[Advice] = []
    disputed: list[Unclear] = []
    for key in dict.fromkeys(advice.key or advice.rule for advice in found):
        about = [a for a in found if (a.key or a.rule) == key]
        about.sort(key=lambda a: _ORDER[a.certainty])
        best = about[0]
        against = [
            a
            for a in about
            if a.direction and best.direction and a.direction != best.direction
        ]
        if not against or against[0].certainty != best.certainty:
            agreed = [a for a in about[1:] if a.direction == best.direction]
            more = (reason for a in agreed for reason in a.reasons)
            heard.append(replace(best, reasons=(*best.reasons, *more)))
            continue
        reasons = "; but ".join(a.reasons[0].text for a in (best, against[0]))
        values = tuple(a.to for a in (best, against[0]) if a.to is not None)
        disputed.append(Unclear(key, best.now, f"reasons disagree: {reasons}", values))
    return heard, disputed
