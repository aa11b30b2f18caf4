"""All usable rows of a mix, as columns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.uint32]
"""Indices of rows. Four bytes each, as a mix may have many millions of rows."""
Hashes = NDArray[np.uint64]
Weights = NDArray[np.uint8] | NDArray[np.uint32]
"""The size of each row: one, or its tokens."""

NO_ROWS: Indices = np.empty(0, np.uint32)


@dataclass(frozen=True)
class Rows:
    """All usable rows in the order in which they are read, column by column."""

    source: NDArray[np.uint16]
    """Index of the source."""
    high: Hashes
    low: Hashes
    """The halves of the fingerprint."""
    tokens: NDArray[np.uint32] | None = None
    """Tokens of each row, if they are counted."""
    questions: Hashes | None = None
    """Fingerprints of the first user messages, of shape (n, 2), if they are needed."""

    @property
    def compared(self) -> tuple[Hashes, Hashes]:
        """The halves of the fingerprints that excluded rows are compared with."""
        if self.questions is None:
            return self.high, self.low
        return self.questions[:, 0], self.questions[:, 1]

    def __post_init__(self) -> None:
        # A stable sort keeps duplicates in the order in which they are read.
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
    """For each row, the index of its first duplicate, or its own index."""
    again: NDArray[np.uint32] = field(init=False)
    """For each row, the number of duplicates before it."""

    def __len__(self) -> int:
        return len(self.source)


def total(weights: Weights) -> int:
    """The sum of weights."""
    return int(weights.sum(dtype=np.int64))


def find_among(high: Hashes, low: Hashes, fingerprints: Hashes) -> Indices:
    """The places of fingerprints, in halves, that are among others of shape (n, 2)."""
    forbidden = {(int(one), int(two)) for one, two in fingerprints}
    near = np.flatnonzero(np.isin(high, fingerprints[:, 0])).astype(np.uint32)
    pairs = zip(high[near].tolist(), low[near].tolist(), strict=True)
    found: Indices = near[np.array([pair in forbidden for pair in pairs], bool)]
    return found
