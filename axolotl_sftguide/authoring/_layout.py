"""`sequence_len` and packing, by the lengths that the data have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._data import DataFacts

SIZES = (
    512,
    1024,
    2048,
    3072,
    4096,
    6144,
    8192,
    12288,
    16384,
    24576,
    32768,
    49152,
    65536,
    131072,
)
LOST = 0.005
"""Share of the rows that may be longer than `sequence_len`."""
SLIGHT = 0.01
"""Share of longer rows above which `check --data` has a finding."""
_PACKED = 4096
"""The longest sequence that is made by packing alone, as in the shipped recipes."""
_WORTH = 1.5
"""Rows per sequence from which on packing is worth it."""
_OFF = 0.15
"""How far a step may be from the requested samples to allow a longer sequence."""
ABOVE = 1.25
"""A micro step may have this many times the requested samples; the plugin warns above
it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows become sequences."""

    sequence_len: int
    packed: bool
    lost: int
    """Rows that are probably longer than that."""


def rows_a_sequence(data: DataFacts, layout: Layout) -> float:
    """Mean rows in a sequence."""
    if not layout.packed:
        return 1.0
    return max(1.0, layout.sequence_len / data.mean)


def layouts(
    data: DataFacts,
    *,
    wanted: int,
    gpus: int,
    positions: int,
    sequence_len: int | None = None,
    packing: bool | None = None,
) -> list[Layout]:
    """Layouts from the best to those that lose rows, for a card with less memory.

    Args:
        data: The facts of the data.
        wanted: Samples per optimizer step over all GPUs.
        gpus: Number of data-parallel GPUs.
        positions: The longest sequence that the model was made for.
        sequence_len: The length that the user gave.
        packing: Whether the user asked for packing.
    """
    sizes = [size for size in SIZES if size <= positions] or [positions]
    most = ABOVE * wanted * data.mean * data.whole_factor[0] / gpus
    if sequence_len is not None:
        sizes = [sequence_len]
    whole = [size for size in sizes if _lost(data, size) <= LOST * data.rows]
    least = whole[0] if whole else sizes[-1]
    longest = _nearest(data, sizes, least, most, wanted / gpus)
    packs = _packs(data, longest, most) if packing is None else packing
    found = [longest] if packs and packing is None else []
    found += [size for size in reversed(sizes) if size <= least]
    return [
        Layout(size, _packs(data, size, most) if packing is None else packing, lost)
        for size in dict.fromkeys(found)
        if (lost := _lost(data, size)) <= data.rows / 10 or size == sequence_len
    ]


def _nearest(
    data: DataFacts, sizes: Sequence[int], least: int, most: float, wanted: float
) -> int:
    """The longest sequence whose multiples have about the requested rows."""
    best, found = _OFF, least
    for size in sizes:
        if not least <= size <= min(_PACKED, most) or not _packs(data, size, most):
            continue
        rows = size / data.mean
        off = abs(max(1, round(wanted / rows)) * rows / wanted - 1)
        if off <= max(best, _OFF):
            best, found = off, size
    return found


def _packs(data: DataFacts, size: int, most: float) -> bool:
    return size <= most and size / data.mean >= _WORTH


def _lost(data: DataFacts, size: int) -> int:
    return data.longer_than(size / data.row_factor[1])
