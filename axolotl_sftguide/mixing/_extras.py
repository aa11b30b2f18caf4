"""Optional values that are computed for each row besides its fingerprint."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._columns import Hashes
from ._fingerprint import as_hashes, question_fingerprint
from ._forms import first_question
from ._minhash import bands_of
from ._overlap import load_ngrams
from ._tokens import token_counter


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is computed."""

    tokenizer: str | None = None
    """Counts the tokens, if given."""
    questions: bool = False
    """The fingerprint of the first user message."""
    bands: bool = False
    """The bands of its MinHash."""
    ngrams: str | None = None
    """The n-grams that it is searched for, see `Ngrams.save`."""
    overlap: float = 0.0
    """The least share of them."""


NOTHING = Wanted()


class Extras:
    """Computes what is requested for the rows of a piece.

    Args:
        wanted: What is computed.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._count = token_counter(wanted.tokenizer) if wanted.tokenizer else None
        self._ngrams = load_ngrams(wanted.ngrams) if wanted.ngrams else None
        self._tokens, self._digests = array("L"), bytearray()
        self._bands: list[NDArray[np.uint32]] = []
        self._rows = 0
        self._is_wanted = wanted != NOTHING
        self.overlaps: list[tuple[int, int, float]] = []
        """The row, from 0, the excluded question and the share of its n-grams."""

    def add(self, row: Mapping[str, Any]) -> None:
        """Compute what is requested for the next row."""
        if not self._is_wanted:
            return
        wanted = self._wanted
        if self._count is not None:
            self._tokens.append(self._count(row))
        if wanted.questions:
            self._digests += question_fingerprint(first_question(row["messages"]))
        if wanted.bands:
            self._bands.append(bands_of(row))
        if self._ngrams is not None:
            owners, shares = self._ngrams.overlaps(row, wanted.overlap)
            for owner, share in zip(owners.tolist(), shares.tolist(), strict=True):
                self.overlaps.append((self._rows, owner, share))
        self._rows += 1

    @property
    def tokens(self) -> NDArray[np.uint32] | None:
        """Tokens per row."""
        return None if self._count is None else np.array(self._tokens, np.uint32)

    @property
    def questions(self) -> Hashes | None:
        """The fingerprints of the first user messages."""
        return as_hashes(self._digests) if self._wanted.questions else None

    def write_bands(self, path: str) -> int:
        """Append the bands to a file, band after band. Returns where they start."""
        if not self._bands:
            return 0
        with open(path, "ab") as file:
            start = file.tell()
            file.write(np.stack(self._bands, axis=1).tobytes())
        return start
