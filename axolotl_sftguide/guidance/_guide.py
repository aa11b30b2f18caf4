"""All that is said of a run, in order; where two rules disagree, neither is heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import _compared, _endings, _held_out, _published, _speed
from ._advice import Advice, Guidance, Unclear
from ._missing import missing
from ._open import unclear
from ._record import Record

_RULES: tuple[Callable[[Record], Iterator[Advice]], ...] = (
    _endings.endings,
    _compared.compared,
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
    found = [advice for rule in _RULES for advice in rule(record)]
    heard, disputed = _without_disputes(found)
    tried = _compared.tried(record)
    said = {advice.key for advice in heard}
    kept = list(_compared.kept(record))
    settled = {line.split(" ")[0] for line in kept}
    still = [
        *disputed,
        *_held_out.style_is_open(record),
        *(
            question
            for question in unclear(record, tried)
            if question.key not in said | settled
        ),
    ]
    return Guidance(
        tuple(heard),
        tuple(still),
        tuple(missing(record, len(tried))),
        tuple(kept),
    )


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
            heard.append(best)
            continue
        reasons = "; but ".join(a.reasons[0].text for a in (best, against[0]))
        values = tuple(a.to for a in (best, against[0]) if a.to is not None)
        disputed.append(Unclear(key, best.now, f"reasons disagree: {reasons}", values))
    return heard, disputed
