"""Random numbers that depend only on a row's fingerprint and the seed.

The plan of a mix therefore depends on what the rows contain and not on who reads them,
in how many pieces or from where, and is the same in every version of Python and numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._columns import Hashes, Indices, Rows

DRAW, HELD_OUT, ORDER, JITTER, REPLAY = range(1, 6)
"""The purpose of a random number. Each purpose draws different numbers."""

BLOCK_ROWS = 2**20
"""Rows per step of work that needs several times the memory of their indices."""


def shuffled(
    rows: Rows, indices: Indices, seed: int, purpose: int, number: int = 0
) -> NDArray[np.intp]:
    """A random order of the rows; rows of equal hashes keep their order of reading."""
    return np.argsort(hashed(rows, indices, seed, purpose, number), kind="stable")


def uniform(
    rows: Rows, indices: Indices, seed: int, purpose: int, number: int
) -> NDArray[np.float64]:
    """Random numbers in [0, 1), exact in float64."""
    bits = hashed(rows, indices, seed, purpose, number) >> np.uint64(11)
    return bits.astype(np.float64) / 2.0**53


def hashed(
    rows: Rows, indices: Indices, seed: int, purpose: int, number: int
) -> Hashes:
    """Random 64-bit numbers, one per row."""
    found = np.empty(len(indices), np.uint64)
    with np.errstate(over="ignore"):
        salt = seed * 0x9E3779B97F4A7C15 + purpose * 0x100000001B3 + number
        mixed = splitmix(np.array([salt % 2**64], np.uint64))[0]
        for start in range(0, len(indices), BLOCK_ROWS):
            part = indices[start : start + BLOCK_ROWS]
            # Duplicates get different numbers, or they would follow one another.
            again = rows.again[part].astype(np.uint64) << np.uint64(32)
            found[start : start + len(part)] = splitmix(
                rows.low[part] ^ splitmix(rows.high[part] ^ again) ^ mixed
            )
    return found


def splitmix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
