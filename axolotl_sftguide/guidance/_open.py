"""Questions that neither the records nor the evidence decide, with values to try."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from ..evidence import is_small
from ..evidence.effective_batch import KEY as BATCH_SIZE
from ._advice import Unclear
from ._record import Record
from ._text import rounded

_ADAPTER_RATES = (1e-4, 2e-4, 5e-4, 1e-3)
_FULL_RATES = (1e-5, 2e-5, 3e-5)
_TINY_RATES = (5e-4, 1e-3)
_ADAPTER_BATCHES = (8, 16, 32)
_COSINE_ROWS = (5_000, 15_000)
_NEAR = 0.15
"""Values that differ by less, on a scale of natural logarithms, count as the same."""


def unclear(record: Record, tried: Mapping[str, Sequence[float]]) -> Iterator[Unclear]:
    """What the published evidence leaves open at the values of this run.

    Args:
        record: The run.
        tried: Values of each key that other runs have tried with all else equal.
    """
    for found in (*_rate(record), *_batch(record), *_schedule(record)):
        known = tried.get(found.key, ())
        left = tuple(v for v in found.alternatives if not _among(v, known))
        if left or not found.alternatives:
            yield Unclear(found.key, found.now, found.text, left, found.claims)


def _rate(record: Record) -> Iterator[Unclear]:
    rate, key = record.rate, record.names.rate
    if rate is None or rate <= 0:
        return
    small = is_small(record.parameters)
    if record.training == "adapter" and 1e-4 <= rate <= 1e-3:
        text = "1e-4 to 1e-3 did best in different studies"
        yield Unclear(key, rate, text, _beside(rate, _ADAPTER_RATES), ("adapter-rate",))
    elif record.training == "full" and _is_tiny(record) and rate in _TINY_RATES:
        others = tuple(r for r in _TINY_RATES if r != rate)
        text = "5e-4 and 1e-3 scored alike on a model of about this size"
        yield Unclear(key, rate, text, others, ("quickstart-rate",))
    elif record.training == "full" and small:
        text = "no claim is about models of this size"
        yield Unclear(key, rate, text, (rounded(rate / 3), rounded(rate * 3)))
    elif record.training == "full" and 1e-5 <= rate <= 3e-5:
        text = "1e-5 to 3e-5 did best in different models"
        yield Unclear(key, rate, text, _beside(rate, _FULL_RATES), ("full-rate",))


def _batch(record: Record) -> Iterator[Unclear]:
    size, noise = record.samples, record.noise
    if size is None:
        return
    has_own = BATCH_SIZE in record.config
    key = BATCH_SIZE if has_own else record.names.accumulation
    if noise is not None and noise.withheld is None:
        larger = noise.batch_size < noise.simple_low
        if larger or noise.batch_size > noise.simple_high:
            yield Unclear(
                key,
                record.config.get(key),
                f"{noise.advice()}; no study says that this scores better",
                _scaled(record, key, 2.0 if larger else 0.5),
            )
            return
    if record.training == "adapter" and 8 <= size <= 32 and has_own:
        others = tuple(n for n in _ADAPTER_BATCHES if n != size)
        text = "8 to 32 samples per step did best in different studies"
        yield Unclear(key, size, text, others, ("adapter-batch",))


def _scaled(record: Record, key: str, factor: float) -> tuple[int, ...]:
    value = record.config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value * factor < 1:
        return ()
    return (math.ceil(value * factor),)


def _schedule(record: Record) -> Iterator[Unclear]:
    key = record.names.schedule
    now, rows = record.config.get(key), record.rows
    if record.training != "full" or now != "constant" or rows is None:
        return
    if is_small(record.parameters):
        return
    if _COSINE_ROWS[0] <= rows <= _COSINE_ROWS[1]:
        yield Unclear(
            key,
            now,
            "cosine decay was better with 5,000 to 15,000 rows, and a constant rate "
            "no worse with 1,000 or with 200,000 and more",
            ("cosine",),
            ("cosine-rate", "constant-rate"),
        )


def _is_tiny(record: Record) -> bool:
    return record.parameters is not None and record.parameters < 10_000_000


def _beside(value: float, choices: Sequence[float]) -> tuple[float, ...]:
    """The nearest lower and the nearest higher of some values."""
    lower = [v for v in choices if v < value and not _among(v, (value,))]
    higher = [v for v in choices if v > value and not _among(v, (value,))]
    return (*lower[-1:], *higher[:1])


def _among(value: object, known: Sequence[float]) -> bool:
    if not isinstance(value, int | float) or value <= 0:
        return False
    return any(k > 0 and abs(math.log(value / k)) < _NEAR for k in known)
