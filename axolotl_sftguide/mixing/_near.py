"""Near-duplicates: rows with almost the words of an earlier row.

MinHash finds the pairs that are compared; their similarity is then computed from their
words. An index of all bands in memory would take kilobytes per row. Here they are on
the disk, and one band at a time is sorted.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import orjson
from numpy.typing import NDArray

from ._columns import Hashes, Indices
from ._minhash import BANDS, jaccard, shingles_of
from ._plan import NearDuplicates
from ._write import Lines

_MOST_COMPARED = 8
"""Rows of a band's group that a row is compared with."""
_SETS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Bands:
    """The place of the bands of a piece's rows."""

    path: str
    start: int
    """Where they start in the file, band after band."""
    rows: int

    def read(self, band: int) -> NDArray[np.uint32]:
        """One band of all rows."""
        if not self.rows:
            return np.empty(0, np.uint32)
        offset = self.start + band * self.rows * 4
        return np.fromfile(self.path, np.uint32, self.rows, offset=offset)


def find_near_duplicates(
    bands: Sequence[Bands],
    lines: Lines,
    similarity: float,
    kept: NDArray[np.bool_],
) -> NearDuplicates:
    """The rows that are similar to an earlier one.

    Args:
        bands: The bands of all rows, piece after piece.
        lines: The places of all lines.
        similarity: The share of the shingles of two rows that both have.
        kept: Which rows are compared.
    """
    kept = kept.copy()
    again, before, shares = array("I"), array("I"), array("d")

    @lru_cache(maxsize=_SETS_KEPT)
    def shingles(row: int) -> Hashes:
        line = lines.read(np.array([row], np.uint32))
        return shingles_of(orjson.loads(line))

    for band in range(BANDS):
        values = np.concatenate([piece.read(band) for piece in bands])
        rows = np.flatnonzero(kept).astype(np.uint32)
        for group in _groups(rows, values[rows]):
            firsts: list[int] = []
            for row in group.tolist():
                own = shingles(row)
                for other in firsts:
                    share = jaccard(own, shingles(other))
                    if share >= similarity:
                        again.append(row)
                        before.append(other)
                        shares.append(share)
                        kept[row] = False
                        break
                else:
                    if len(firsts) < _MOST_COMPARED:
                        firsts.append(row)
    order = np.argsort(np.array(again, np.uint32), kind="stable")
    return NearDuplicates(
        np.array(again, np.uint32)[order],
        np.array(before, np.uint32)[order],
        np.array(shares)[order],
    )


def _groups(rows: Indices, values: NDArray[np.uint32]) -> list[Indices]:
    """The rows of equal values, in ascending order, where there are several."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    new = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(new[1:], len(ordered))
    several = ends - new > 1
    return [
        rows[order[start:end]]
        for start, end in zip(new[several], ends[several], strict=True)
    ]
