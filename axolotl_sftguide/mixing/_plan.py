"""Which rows are written, how often and in which order, from fingerprints alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..config.mix_settings import MixSettings, SourceSettings
from ._columns import (
    NO_ROWS,
    Indices,
    Rows,
    Weights,
    total,
)
from ._order import phased, stacked
from ._random import DRAW, HELD_OUT, shuffled
from ._shares import limiting_source, passes, sizes

_EXAMPLES = 20


@dataclass
class NearDuplicates:
    """Rows that are left out."""

    rows: Indices = field(default_factory=NO_ROWS.copy)
    originals: Indices = field(default_factory=NO_ROWS.copy)
    """For each of them, the earlier row that it is similar to."""
    similarities: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def least(self) -> list[int]:
        """The places of those that are the most likely to be left out wrongly."""
        order = np.lexsort((self.rows, self.similarities))
        return [int(place) for place in order[:_EXAMPLES]]


FindNear: TypeAlias = Callable[[NDArray[np.bool_]], NearDuplicates]


@dataclass
class Plan:
    """What is written, and how many rows are left out."""

    train: Indices
    """Rows in the order of the dataset; a repeated row occurs several times."""
    held_out: Indices
    """Rows kept for evaluation."""
    duplicates: dict[tuple[int, int], int] = field(default_factory=dict)
    """Duplicates left out, by their source and the source of the row that is kept."""
    near: NearDuplicates = field(default_factory=NearDuplicates)
    """Rows left out because they are similar to an earlier one."""
    excluded: dict[int, int] = field(default_factory=dict)
    """By source, rows left out because an excluded file contains them."""
    not_drawn: dict[int, int] = field(default_factory=dict)
    """By source, rows left out by `max_rows`, `max_tokens` or the shares."""
    repeated: dict[int, int] = field(default_factory=dict)
    """By source, the number of repetitions of rows."""
    available: list[int] = field(default_factory=list)
    """By source, the rows that were left to draw from."""
    cut: dict[int, int] = field(default_factory=dict)
    """By source, rows left out by the shares alone."""
    limiting: int | None = None
    """The source that has too few rows for its share."""


def plan(
    rows: Rows,
    settings: MixSettings,
    excluded: Indices = NO_ROWS,
    find_near: FindNear | None = None,
) -> Plan:
    """Plan the whole dataset.

    Args:
        rows: All rows, source after source.
        settings: The settings of the mix.
        excluded: Rows that must not be trained on.
        find_near: Finds near-duplicates among the rows for which an array is true.
    """
    made = Plan(NO_ROWS, NO_ROWS)
    kept = np.ones(len(rows), bool)
    if len(excluded):
        kept[excluded] = False
        sources, counts = np.unique(rows.source[excluded], return_counts=True)
        made.excluded = dict(zip(sources.tolist(), counts.tolist(), strict=True))
    if settings.deduplicate:
        _deduplicate(rows, kept, made)
    if find_near is not None:
        made.near = find_near(kept)
        kept[made.near.rows] = False
    drawn = _draw_all(rows, kept, settings, made)
    made.available = [len(indices) for indices in drawn]
    weights: Weights = np.ones(len(rows), np.uint8)
    if settings.shares_by == "tokens" and rows.tokens is not None:
        weights = rows.tokens
    available = [total(weights[indices]) for indices in drawn]
    wanted = sizes(settings.sources, available, settings.upsample)
    made.limiting = limiting_source(settings.sources, available, settings.upsample)
    copies = [
        passes(indices, weights[indices], size)
        for indices, size in zip(drawn, wanted, strict=True)
    ]
    if settings.strategy == "stacked":
        made.train = stacked(rows, copies, weights, settings.seed)
    else:
        phases = phase_of_sources(settings)
        made.train = phased(rows, copies, phases, settings.replay, settings.seed)
    _count_copies(rows, drawn, copies, made)
    return made


def phase_of_sources(settings: MixSettings) -> list[int]:
    """For each source, the index of its phase."""
    return [i for i, phase in enumerate(settings.phases) for _ in phase.datasets]


def _deduplicate(rows: Rows, kept: NDArray[np.bool_], made: Plan) -> None:
    """Keep the first of each set of duplicates."""
    repeated = np.flatnonzero(kept & (rows.again > 0))
    kept[repeated] = False
    pairs = np.stack([rows.source[repeated], rows.source[rows.first[repeated]]], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    for (again, before), count in zip(found, counts, strict=True):
        made.duplicates[int(again), int(before)] = int(count)


def _draw_all(
    rows: Rows, kept: NDArray[np.bool_], settings: MixSettings, made: Plan
) -> list[Indices]:
    """For each source, the rows to train on; the held-out rows go into the plan."""
    drawn = []
    held_out = []
    for source, own in enumerate(settings.sources):
        own_rows = np.flatnonzero(kept & (rows.source == source)).astype(np.uint32)
        indices = _draw(rows, own_rows, own, settings.seed)
        made.not_drawn[source] = len(own_rows) - len(indices)
        count = round(settings.held_out * len(indices))
        if count:
            chosen = shuffled(rows, indices, settings.seed, HELD_OUT)[:count]
            held_out.append(np.sort(indices[chosen]))
            indices = np.delete(indices, chosen)
        drawn.append(indices)
    made.held_out = np.concatenate([NO_ROWS, *held_out])
    return drawn if settings.deduplicate else _without_held_out(rows, drawn, made)


def _without_held_out(
    rows: Rows, drawn: Sequence[Indices], made: Plan
) -> list[Indices]:
    """Hold out the duplicates of held-out rows, too."""
    fingerprints = rows.first[made.held_out]
    kept = []
    for indices in drawn:
        same = np.isin(rows.first[indices], fingerprints)
        made.held_out = np.concatenate([made.held_out, np.sort(indices[same])])
        kept.append(indices[~same])
    return kept


def _draw(rows: Rows, indices: Indices, own: SourceSettings, seed: int) -> Indices:
    """A source's rows in random order, up to `max_rows` and `max_tokens`."""
    indices = indices[shuffled(rows, indices, seed, DRAW)][: own.max_rows]
    if own.max_tokens is not None and rows.tokens is not None:
        tokens = np.cumsum(rows.tokens[indices], dtype=np.int64)
        indices = indices[tokens <= own.max_tokens]
    return indices


def _count_copies(
    rows: Rows,
    drawn: Sequence[Indices],
    copies: Sequence[Sequence[Indices]],
    made: Plan,
) -> None:
    """Count for each source the rows that no pass reaches, and the repetitions."""
    written = np.bincount(rows.source[made.train], minlength=len(drawn))
    for source, (indices, own) in enumerate(zip(drawn, copies, strict=True)):
        reached = sum(map(len, own))
        made.cut[source] = max(0, len(indices) - reached)
        made.not_drawn[source] += made.cut[source]
        made.repeated[source] = int(written[source]) - min(reached, len(indices))
