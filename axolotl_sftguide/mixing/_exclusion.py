"""Rows that `exclude` keeps out of the dataset, such as those of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..config.mix_settings import SourceSettings
from ..errors import MixError
from ._columns import Hashes, Rows, find_among
from ._faults import RowFault
from ._fingerprint import fingerprint, question_fingerprint
from ._forms import RowReader
from ._pieces import InputFile, Piece
from ._refusals import broken_file, fault_lines, unread_lines
from ._spool import Spooled, all_rows, as_hashes
from ._workers import Workers


@dataclass(frozen=True)
class Excluded:
    """The rows that must not be trained on."""

    hashes: Hashes = field(default_factory=lambda: np.empty((0, 2), np.uint64))
    """Their fingerprints, of shape (n, 2), file after file."""
    rows: Sequence[int] = ()
    """The number of rows of each file."""

    def matched(self, rows: Rows) -> list[int]:
        """For each file, how many of its rows are among those of the mix."""
        if not len(self.hashes):
            return [0] * len(self.rows)
        high, low = rows.compared
        own = find_among(high, low, self.hashes)
        known = set(zip(high[own].tolist(), low[own].tolist(), strict=True))
        pairs = zip(*(half.tolist() for half in self.hashes.T), strict=True)
        found = np.array([pair in known for pair in pairs], bool)
        ends = np.cumsum([0, *self.rows])
        return [int(found[a:b].sum()) for a, b in pairwise(ends)]


def read_excluded(
    files: Sequence[InputFile], by_question: bool, pool: Workers
) -> Excluded:
    """The fingerprints of all rows of the excluded files.

    Args:
        files: The files.
        by_question: Whether only the first user message is compared.
        pool: The workers that read.

    Raises:
        MixError: If a row cannot be read: it would be trained on unnoticed.
    """
    tasks = [
        (piece, SourceSettings(path=file.label), by_question)
        for file in files
        for piece in file.pieces
    ]
    labels = [file.label for file in files for _ in file.pieces]
    found = list(pool.map(hashes_of, tasks))
    lines = []
    for label, piece in zip(labels, found, strict=True):
        if piece.broken is not None:
            lines.append(broken_file(label, piece.rows_read - 1, piece.broken))
        lines += [f"{label}: {line}" for line in unread_lines([piece])]
    lines += fault_lines(labels, found)
    if lines:
        raise MixError(
            "\n".join([f"exclude: {line}" for line in lines[:20]])
            + "\nA row of an excluded file that cannot be read would be trained on."
        )
    if not found:
        return Excluded()
    counts = dict.fromkeys(labels, 0)
    for label, piece in zip(labels, found, strict=True):
        counts[label] += len(piece.hashes)
    rows = [counts.get(file.label, 0) for file in files]
    return Excluded(np.concatenate([piece.hashes for piece in found]), rows)


def hashes_of(piece: Piece, settings: SourceSettings, by_question: bool) -> Spooled:
    """The fingerprints of the rows of a piece, and its faults."""
    found = Spooled(piece, "", np.empty((0, 2), np.uint64), np.empty(0, np.int64))
    digests = bytearray()
    reader = RowReader(settings, piece.kind in ("parquet", "arrow"))
    for number, row in all_rows(piece):
        found.rows_read += 1
        try:
            if isinstance(row, RowFault):
                raise row
            if by_question:
                digests += question_fingerprint(reader.question(row))
            else:
                digests += fingerprint(reader.read(row)[1])
        except RowFault as fault:
            found.note(number, fault)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            found.note(number, RowFault("wrong-type", str(error)[:120]))
    found.hashes = as_hashes(digests)
    return found
