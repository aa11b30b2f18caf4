"""Changes by the recorded memory and by the lengths of the rows."""

from __future__ import annotations

from collections.abc import Iterator

from ..units import count, share
from ._advice import Advice, Reason
from ._record import Memory, Record
from ._text import shown

_FULL = 0.9
"""A tenth of the memory stays free: lengths and fragmentation differ between steps."""

_LEAST_CUT = 0.01
"""A smaller share of lost tokens is not worth a longer sequence."""


def memory(record: Record) -> Iterator[Advice]:
    """A larger micro batch, with the same batch, if the GPU has room for it."""
    found, names = record.memory, record.names
    micro, accumulation = (
        record.config.get(key) for key in (names.micro, names.accumulation)
    )
    if found is None or not found.gpu_bytes or record.status != "finished":
        return
    if not isinstance(micro, int) or not isinstance(accumulation, int):
        return
    to = _largest(found, micro, accumulation)
    if to <= micro:
        return
    edits = {names.micro: to, names.accumulation: micro * accumulation // to}
    yield Advice(
        "memory-left",
        names.micro,
        f"set {names.micro}: {to} and {names.accumulation}: "
        f"{edits[names.accumulation]}: the same batch in fewer passes",
        (
            Reason(
                f"the run took {_gib(found.peak_bytes)} of {_gib(found.gpu_bytes)} "
                f"({share(found.peak_bytes, found.gpu_bytes)}), and would take "
                f"{_gib(_with(found, micro, to))} at most"
            ),
        ),
        "moderate",
        now=micro,
        to=to,
        direction="higher",
        edits=edits,
        changes_result=False,
    )


def lengths(record: Record) -> Iterator[Advice]:
    """A longer sequence if rows with trained tokens are lost."""
    cut = [c for c in record.cut or () if c.long_rows]
    lost = sum(c.long_tokens for c in cut)
    trained = sum(c.trained_tokens for c in record.cut or ())
    if not cut or not trained or lost < _LEAST_CUT * trained:
        return
    rows = sum(c.long_rows for c in cut)
    whole = sum(c.rows for c in record.cut or ())
    key = record.names.length
    yield Advice(
        "rows-cut",
        key,
        f"raise {key}, or set excess_length_strategy: truncate",
        (
            Reason(
                f"{count(rows)} of {count(whole)} rows are longer, and "
                f"{count(lost)} of {count(trained)} trained tokens "
                f"({share(lost, trained)}) are in them"
            ),
        ),
        "high",
        now=record.config.get(key),
        direction="higher",
    )


def whole_rows(record: Record) -> Iterator[str]:
    """Says that the sequence length loses almost no tokens."""
    if record.cut is None or any(lengths(record)):
        return
    key = record.names.length
    rows = sum(c.rows for c in record.cut)
    longer = sum(c.long_rows for c in record.cut)
    yield (
        f"{key} {shown(record.config.get(key))}: {count(longer)} of {count(rows)} rows "
        "are longer"
    )


def _largest(found: Memory, micro: int, accumulation: int) -> int:
    """The largest micro batch that gives the same batch and fits."""
    room = _FULL * (found.gpu_bytes or 0)
    whole = micro * accumulation
    fitting = (
        n
        for n in range(whole, micro, -1)
        if whole % n == 0 and _with(found, micro, n) <= room
    )
    return next(fitting, micro)


def _with(found: Memory, micro: int, other: int) -> int:
    """The memory with another micro batch, at most.

    What grows with the micro batch is a part of the peak, so the whole grows less than
    in proportion. The plan knows that part, within a quarter.
    """
    bound = found.peak_bytes * other / micro
    if found.row_bytes is not None:
        planned = found.peak_bytes + 1.25 * found.row_bytes * (other - micro)
        bound = min(bound, planned)
    return round(bound)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
