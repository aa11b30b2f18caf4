"""Which rows, how often, in which order: from their fingerprints alone (pure, numpy).

All that is drawn is drawn by hashing a row's fingerprint with the seed. So the plan
depends on what the rows say and not on who read them, in how many pieces, or where, and
is the same with every version of Python and numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..config.mix_settings import MixSettings, SourceSettings

Indices = NDArray[np.uint32]
"""Of rows: four bytes each, for there may be many millions."""
Hashes = NDArray[np.uint64]
Weights = NDArray[np.uint8] | NDArray[np.uint32]
"""What a row counts: one, or its tokens."""

_NO_ROWS: Indices = np.empty(0, np.uint32)

_AT_ONCE = 2**20
"""Rows, in steps that would need several times their indices' memory."""

_DRAW, _HELD_OUT, _ORDER, _JITTER, _REPLAY = range(1, 6)
"""What a random number is for: different uses draw different ones."""


@dataclass(frozen=True)
class Rows:
    """All usable rows in their order of reading, column by column."""

    source: NDArray[np.uint16]
    """Index of the source."""
    high: Hashes
    low: Hashes
    """The fingerprint's two halves."""
    tokens: NDArray[np.uint32] | None = None
    """Of each row, where they were counted."""

    def __post_init__(self) -> None:
        # Stable: the order of reading stays.
        order = np.lexsort((self.low, self.high)).astype(np.uint32)
        new = np.ones(len(order), bool)
        new[1:] = False
        for half in (self.high, self.low):
            ordered = half[order]
            new[1:] |= ordered[1:] != ordered[:-1]
            del ordered
        places = np.arange(len(order), dtype=np.uint32)
        start = np.maximum.accumulate(np.where(new, places, np.uint32(0)))
        first, again = np.empty_like(order), np.empty_like(order)
        first[order] = order[start]
        again[order] = places - start
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "again", again)

    first: Indices = field(init=False)
    """For each row, the index of the first that says the same."""
    again: NDArray[np.uint32] = field(init=False)
    """For each row, how many before it say the same."""

    def __len__(self) -> int:
        return len(self.source)


@dataclass
class Plan:
    """What is written."""

    train: Indices
    """Indices of rows in the order of the dataset, those that are repeated too."""
    held_out: Indices
    """Indices of the rows kept for evaluation."""
    duplicates: dict[tuple[int, int], int] = field(default_factory=dict)
    """By source and the source whose row says the same, rows that were left out."""
    excluded: dict[int, int] = field(default_factory=dict)
    """By source, rows that stand in a file that must not be trained on."""
    not_drawn: dict[int, int] = field(default_factory=dict)
    """By source, rows left out to keep to `max_rows` or to the shares."""
    repeated: dict[int, int] = field(default_factory=dict)
    """By source, rows that stand there once more because that was asked for."""


def plan(rows: Rows, settings: MixSettings, excluded: Hashes | None = None) -> Plan:
    """The whole plan.

    Args:
        rows: All rows, source after source.
        settings: The mix.
        excluded: Fingerprints that must not be trained on, of shape (n, 2).
    """
    made = Plan(_NO_ROWS, _NO_ROWS)
    kept = np.ones(len(rows), bool)
    if excluded is not None and len(excluded):
        _exclude(rows, excluded, kept, made)
    if settings.deduplicate:
        _deduplicate(rows, kept, made)
    phases = phase_of_sources(settings)
    drawn = []
    held_out = []
    for source, own in enumerate(settings.sources):
        own_rows = np.flatnonzero(kept & (rows.source == source)).astype(np.uint32)
        indices = _drawn(rows, own_rows, own, settings.seed)
        made.not_drawn[source] = len(own_rows) - len(indices)
        aside = round(settings.held_out * len(indices))
        if aside:
            by_chance = _by_chance(rows, indices, settings.seed, _HELD_OUT)[:aside]
            held_out.append(np.sort(indices[by_chance]))
            indices = np.delete(indices, by_chance)
        drawn.append(indices)
    made.held_out = np.concatenate([_NO_ROWS, *held_out])
    weights: Weights = np.ones(len(rows), np.uint8)
    if settings.shares_by == "tokens" and rows.tokens is not None:
        weights = rows.tokens
    wanted = _sizes(settings, [_sum(weights[indices]) for indices in drawn])
    copies = []
    for source, (indices, size) in enumerate(zip(drawn, wanted, strict=True)):
        copies.append(_copies(indices, weights[indices], size))
        left = max(0, len(indices) - sum(map(len, copies[-1])))
        made.not_drawn[source] += left
    if settings.strategy == "stacked":
        made.train = _stacked(rows, copies, weights, settings.seed)
    else:
        made.train = _phased(rows, copies, phases, settings)
    written = np.bincount(rows.source[made.train], minlength=len(drawn))
    for source, (indices, passes) in enumerate(zip(drawn, copies, strict=True)):
        distinct = min(sum(map(len, passes)), len(indices))
        made.repeated[source] = int(written[source]) - distinct
    return made


def phase_of_sources(settings: MixSettings) -> list[int]:
    """For each source, the index of its phase."""
    return [i for i, phase in enumerate(settings.phases) for _ in phase.datasets]


def largest_deviation(sources: Sequence[int] | NDArray[np.uint16]) -> float:
    """How many rows any prefix is off from the whole's ratios, at the most."""
    order = np.asarray(sources)
    totals = np.bincount(order)
    seen = np.zeros(len(totals), np.int64)
    worst = 0.0
    for start in range(0, len(order), _AT_ONCE):
        part = order[start : start + _AT_ONCE]
        count = np.arange(start + 1, start + len(part) + 1)
        for source in np.flatnonzero(totals):
            so_far = seen[source] + np.cumsum(part == source)
            off = so_far - count * totals[source] / len(order)
            worst = max(worst, float(np.abs(off).max()))
            seen[source] = so_far[-1]
    return worst


def _exclude(rows: Rows, excluded: Hashes, kept: NDArray[np.bool_], made: Plan) -> None:
    forbidden = {(int(high), int(low)) for high, low in excluded}
    near = np.flatnonzero(np.isin(rows.high, excluded[:, 0]))
    for index in near:
        if (int(rows.high[index]), int(rows.low[index])) in forbidden:
            kept[index] = False
            source = int(rows.source[index])
            made.excluded[source] = made.excluded.get(source, 0) + 1


def _deduplicate(rows: Rows, kept: NDArray[np.bool_], made: Plan) -> None:
    """Keep the first of those that say the same."""
    repeated = np.flatnonzero(kept & (rows.again > 0))
    kept[repeated] = False
    pairs = np.stack([rows.source[repeated], rows.source[rows.first[repeated]]], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    for (again, before), count in zip(found, counts, strict=True):
        made.duplicates[int(again), int(before)] = int(count)


def _drawn(rows: Rows, indices: Indices, own: SourceSettings, seed: int) -> Indices:
    """A source's rows by chance, no more than it asks for."""
    indices = indices[_by_chance(rows, indices, seed, _DRAW)][: own.max_rows]
    if own.max_tokens is not None and rows.tokens is not None:
        tokens = np.cumsum(rows.tokens[indices], dtype=np.int64)
        indices = indices[tokens <= own.max_tokens]
    return indices


def _sizes(settings: MixSettings, available: Sequence[int]) -> list[float]:
    """Rows, or tokens, of each source in the mix."""
    wanted = [
        source.repeats * size
        for source, size in zip(settings.sources, available, strict=True)
    ]
    shares = [source.share for source in settings.sources]
    if all(share is None for share in shares):
        return wanted
    rest = 1 - sum(share for share in shares if share is not None)
    free = sum(n for n, share in zip(wanted, shares, strict=True) if share is None)
    full = [
        share if share is not None else rest * n / free if free else 0.0
        for n, share in zip(wanted, shares, strict=True)
    ]
    totals = [n / share for n, share in zip(wanted, full, strict=True) if share > 0]
    total = (max if settings.upsample else min)(totals, default=0)
    return [share * total for share in full]


def _copies(indices: Indices, weights: Weights, size: float) -> list[Indices]:
    """Whole passes over the rows, then as many as come nearest to the size."""
    whole = _sum(weights)
    if not whole:
        return []
    passes = int((size + 1e-9 * whole) // whole)
    sums = np.cumsum(weights, dtype=np.int64)
    rest = size - passes * whole
    part = int(np.searchsorted(sums, rest))
    below = int(sums[part - 1]) if part else 0
    if part < len(sums) and sums[part] - rest < rest - below:
        part += 1
    return [indices] * passes + ([indices[:part]] if part else [])


def _stacked(
    rows: Rows,
    copies: Sequence[Sequence[Indices]],
    weights: Weights,
    seed: int,
) -> Indices:
    """Each source spread evenly over the whole, by chance inside its own steps.

    The k-th of n rows stands at (k + u) / n of the whole, u by chance in [0, 1): any
    prefix holds each source's part to within about one row. With weights, k and n
    are sums of them.
    """
    count = sum(len(indices) for passes in copies for indices in passes)
    order, places = np.empty(count, np.uint32), np.empty(count)
    end = 0
    for passes in copies:
        size = sum(_sum(weights[indices]) for indices in passes)
        step = 0
        for number, indices in enumerate(passes):
            here = slice(end, end + len(indices))
            end = here.stop
            order[here] = indices[_by_chance(rows, indices, seed, _ORDER, number)]
            places[here] = _uniform(rows, order[here], seed, _JITTER, number)
            places[here] -= 1
            own = weights[order[here]]
            places[here] *= own
            places[here] += np.cumsum(own, dtype=np.int64)
            places[here] += step
            places[here] /= size
            step += _sum(own)
    return order[np.argsort(places, kind="stable")]


def _phased(
    rows: Rows,
    copies: Sequence[Sequence[Indices]],
    phases: Sequence[int],
    settings: MixSettings,
) -> Indices:
    """Phase after phase, by chance inside, with a share drawn from those before."""
    whole: list[Indices] = []
    before = _NO_ROWS
    seed, count = settings.seed, len(settings.phases)
    for phase in range(count):
        # A row's copies have a number each, lest they stand side by side.
        own = [
            (indices, phase + count * number)
            for source, passes in enumerate(copies)
            if phases[source] == phase
            for number, indices in enumerate(passes)
        ]
        fresh = np.concatenate([_NO_ROWS, *(indices for indices, _ in own)])
        wanted = round(settings.replay / (1 - settings.replay) * len(fresh))
        drawn = before[_by_chance(rows, before, seed, _REPLAY, phase)][:wanted]
        mixed = np.concatenate([fresh, drawn])
        hashed = [_hashed(rows, part, seed, _ORDER, n) for part, n in own]
        hashed.append(_hashed(rows, drawn, seed, _REPLAY, phase + count))
        whole.append(mixed[np.argsort(np.concatenate(hashed), kind="stable")])
        before = np.concatenate([before, fresh])
    return np.concatenate([_NO_ROWS, *whole])


def _by_chance(
    rows: Rows, indices: Indices, seed: int, use: int, number: int = 0
) -> NDArray[np.intp]:
    """An order of the rows by hash; the order of reading where two are the same."""
    return np.argsort(_hashed(rows, indices, seed, use, number), kind="stable")


def _uniform(
    rows: Rows, indices: Indices, seed: int, use: int, number: int
) -> NDArray[np.float64]:
    """Numbers in [0, 1), exact in float64."""
    bits = _hashed(rows, indices, seed, use, number) >> np.uint64(11)
    return bits.astype(np.float64) / 2.0**53


def _hashed(rows: Rows, indices: Indices, seed: int, use: int, number: int) -> Hashes:
    found = np.empty(len(indices), np.uint64)
    with np.errstate(over="ignore"):
        salt = seed * 0x9E3779B97F4A7C15 + use * 0x100000001B3 + number
        mixed = _splitmix(np.array([salt % 2**64], np.uint64))[0]
        for start in range(0, len(indices), _AT_ONCE):
            part = indices[start : start + _AT_ONCE]
            # Rows that say the same must not follow one another for that.
            again = rows.again[part].astype(np.uint64) << np.uint64(32)
            found[start : start + len(part)] = _splitmix(
                rows.low[part] ^ _splitmix(rows.high[part] ^ again) ^ mixed
            )
    return found


def _sum(weights: Weights) -> int:
    return int(weights.sum(dtype=np.int64))


def _splitmix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
