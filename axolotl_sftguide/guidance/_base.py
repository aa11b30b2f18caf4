"""A score that fell below that of the model before the training."""

from __future__ import annotations

from collections.abc import Iterator

from ..units import number
from ._advice import Advice, Reason
from ._noise import noise_of
from ._record import Record
from ._text import rounded, shown


def below_base(record: Record) -> Iterator[Advice]:
    """A lower rate where the score fell below that of the model before training.

    As the rate goes to zero, the score goes back to it.
    """
    noise = noise_of(record, record.others)
    result = record.result
    if result is None or result.base is None or noise is None or record.rate is None:
        return
    fall = result.base - result.value
    fall = fall if result.higher_is_better else -fall
    if fall <= noise.least(1, 1):
        return
    to = rounded(record.rate / 3)
    yield Advice(
        "below-base",
        record.names.rate,
        f"set {record.names.rate}: {shown(to)}, a third, and check that the model "
        "still learns the new data",
        (
            Reason(
                f"{result.metric} fell from {number(result.base)} before the training "
                f"to {number(result.value)}; a difference of up to "
                f"{number(noise.least(1, 1), 2)} may be chance ({noise.source})"
            ),
            Reason(
                "lower rates kept more of what the base knew, on a small model "
                "(docs/evidence.md)"
            ),
        ),
        "moderate",
        now=record.rate,
        to=to,
        direction="lower",
        edits={record.names.rate: to},
    )
