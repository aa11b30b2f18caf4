"""Rows that share sequences of words with a question that must not be trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._columns import Hashes, Indices
from ._words import ngrams_of, texts_of

_EXAMPLES = 20
_NAMES = ("hashes", "owners", "totals")


@dataclass(frozen=True)
class Ngrams:
    """The n-grams of all excluded questions."""

    n: int
    hashes: Hashes
    """Sorted; a hash occurs once for each question that has it."""
    owners: Indices
    """For each hash, the number of its question."""
    totals: Indices
    """For each question, how many n-grams it has."""

    @classmethod
    def of(cls, questions: Sequence[Hashes], n: int) -> Ngrams:
        """The n-grams of questions, each given as its sorted hashes."""
        totals = np.array([len(own) for own in questions], np.uint32)
        hashes = np.concatenate([np.empty(0, np.uint64), *questions])
        owners = np.repeat(np.arange(len(questions), dtype=np.uint32), totals)
        order = np.argsort(hashes, kind="stable")
        return cls(n, hashes[order], owners[order], totals)

    def save(self, folder: Path) -> str:
        """Write them for the workers. Returns the place to load them from."""
        place = folder / f"ngrams-{self.n}"
        place.mkdir()
        for name in _NAMES:
            np.save(place / f"{name}.npy", getattr(self, name))
        return str(place)

    def overlaps(
        self, conversation: Mapping[str, Any], least: float
    ) -> tuple[Indices, NDArray[np.float64]]:
        """The questions that a row overlaps with, and by which share of their n-grams.

        Args:
            conversation: The row.
            least: The least share; with 0, one n-gram is enough.
        """
        own = ngrams_of(texts_of(conversation), self.n)
        starts = np.searchsorted(self.hashes, own)
        ends = np.searchsorted(self.hashes, own, side="right")
        hits = np.flatnonzero(ends > starts)
        if not len(hits):
            return np.empty(0, np.uint32), np.empty(0)
        shared = [self.owners[starts[hit] : ends[hit]] for hit in hits]
        owners, counts = np.unique(np.concatenate(shared), return_counts=True)
        shares = counts / self.totals[owners]
        enough = shares >= least
        return owners[enough], shares[enough]


@dataclass(frozen=True)
class Overlaps:
    """The rows of a mix that overlap with excluded questions."""

    rows: Indices
    """A row occurs once for each question that it overlaps with."""
    owners: Indices
    """The number of that question."""
    shares: NDArray[np.float64]
    """The share of its n-grams that the row has."""

    @classmethod
    def of(
        cls, pieces: Sequence[tuple[int, Sequence[tuple[int, int, float]]]]
    ) -> Overlaps:
        """All overlaps, from those of each piece and its number of rows."""
        firsts = np.cumsum([0, *(count for count, _ in pieces)])
        found = [
            (first + place, owner, share)
            for first, (_, own) in zip(firsts.tolist(), pieces, strict=False)
            for place, owner, share in own
        ]
        rows, owners, shares = zip(*found, strict=True) if found else ((), (), ())
        return cls(
            np.array(rows, np.uint32), np.array(owners, np.uint32), np.array(shares)
        )

    def matched(self, rows: Sequence[int]) -> list[int]:
        """For each excluded file, of so many rows, how many rows have overlaps."""
        ends = np.cumsum([0, *rows])
        found = np.unique(self.owners)
        return [int(n) for n in np.diff(np.searchsorted(found, ends))]

    def least(self) -> list[int]:
        """The places of the overlaps that are the most likely to be by chance."""
        best = np.lexsort((self.owners, -self.shares, self.rows))
        first = np.unique(self.rows[best], return_index=True)[1]
        own = best[first]
        order = np.lexsort((self.rows[own], self.shares[own]))
        return [int(place) for place in own[order][:_EXAMPLES]]


@lru_cache(maxsize=1)
def load_ngrams(place: str) -> Ngrams:
    """What `Ngrams.save` wrote, shared by all workers."""
    path = Path(place)
    arrays = [np.load(path / f"{name}.npy", mmap_mode="r") for name in _NAMES]
    return Ngrams(int(path.name.partition("-")[2]), *arrays)
