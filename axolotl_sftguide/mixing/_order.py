"""The order of the rows in the dataset: stacked, or phase after phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ._columns import NO_ROWS, Indices, Rows, Weights, total
from ._random import BLOCK_ROWS, JITTER, ORDER, REPLAY, hashed, shuffled, uniform


def stacked(
    rows: Rows,
    passes: Sequence[Sequence[Indices]],
    weights: Weights,
    seed: int,
) -> Indices:
    """Spread each source evenly over the whole dataset, with random jitter.

    The k-th of n rows is placed at (k + u) / n of the dataset, with u uniform in
    [0, 1), so that any prefix contains each source's share to within about one row.
    With weights, k and n are sums of weights.

    Args:
        rows: All rows.
        passes: For each source, the passes over its rows.
        weights: The weights of all rows.
        seed: The seed of the order.
    """
    count = sum(len(indices) for own in passes for indices in own)
    order, places = np.empty(count, np.uint32), np.empty(count)
    end = 0
    for own in passes:
        size = sum(total(weights[indices]) for indices in own)
        before = 0
        for number, indices in enumerate(own):
            here = slice(end, end + len(indices))
            end = here.stop
            order[here] = indices[shuffled(rows, indices, seed, ORDER, number)]
            places[here] = uniform(rows, order[here], seed, JITTER, number)
            places[here] -= 1
            weight = weights[order[here]]
            places[here] *= weight
            places[here] += np.cumsum(weight, dtype=np.int64)
            places[here] += before
            places[here] /= size
            before += total(weight)
    return order[np.argsort(places, kind="stable")]


def phased(
    rows: Rows,
    passes: Sequence[Sequence[Indices]],
    phases: Sequence[int],
    replay: float,
    seed: int,
) -> Indices:
    """Phase after phase, each in random order, with rows replayed from earlier ones.

    Args:
        rows: All rows.
        passes: For each source, the passes over its rows.
        phases: For each source, the index of its phase.
        replay: The share of each later phase that is drawn from those before.
        seed: The seed of the order.
    """
    ordered: list[Indices] = []
    before = NO_ROWS
    count = phases[-1] + 1
    for phase in range(count):
        # Each copy of a row has its own number, or copies would follow one another.
        own = [
            (indices, phase + count * number)
            for source, indices_of_passes in enumerate(passes)
            if phases[source] == phase
            for number, indices in enumerate(indices_of_passes)
        ]
        fresh = np.concatenate([NO_ROWS, *(indices for indices, _ in own)])
        wanted = round(replay / (1 - replay) * len(fresh))
        drawn = before[shuffled(rows, before, seed, REPLAY, phase)][:wanted]
        mixed = np.concatenate([fresh, drawn])
        keys = [hashed(rows, part, seed, ORDER, number) for part, number in own]
        keys.append(hashed(rows, drawn, seed, REPLAY, phase + count))
        ordered.append(mixed[np.argsort(np.concatenate(keys), kind="stable")])
        before = np.concatenate([before, fresh])
    return np.concatenate([NO_ROWS, *ordered])


def largest_deviation(sources: Sequence[int] | NDArray[np.uint16]) -> float:
    """The most rows by which a source in any prefix is off its share of the whole.

    Args:
        sources: The source of each row, in the order of the dataset.
    """
    order = np.asarray(sources)
    totals = np.bincount(order)
    seen = np.zeros(len(totals), np.int64)
    worst = 0.0
    for start in range(0, len(order), BLOCK_ROWS):
        part = order[start : start + BLOCK_ROWS]
        count = np.arange(start + 1, start + len(part) + 1)
        for source in np.flatnonzero(totals):
            so_far = seen[source] + np.cumsum(part == source)
            off = so_far - count * totals[source] / len(order)
            worst = max(worst, float(np.abs(off).max()))
            seen[source] = so_far[-1]
    return worst
