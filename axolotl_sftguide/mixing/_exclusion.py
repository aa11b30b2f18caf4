"""Rows that `exclude` keeps out of the dataset, such as those of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..config.mix_settings import MixSettings, SourceSettings
from ..errors import MixError
from ._columns import NO_ROWS, Hashes, Indices, Rows, find_among
from ._faults import RowFault
from ._fingerprint import as_hashes, fingerprint, question_fingerprint
from ._forms import RowReader, for_workers
from ._overlap import Ngrams, Overlaps
from ._pieces import InputFile, Piece
from ._refusals import broken_file, fault_lines, unread_lines
from ._spool import Spooled, all_rows
from ._words import ngrams_of
from ._workers import Workers


@dataclass(frozen=True)
class Excluded:
    """The rows that must not be trained on."""

    hashes: Hashes = field(default_factory=lambda: np.empty((0, 2), np.uint64))
    """Their fingerprints, of shape (n, 2), file after file."""
    rows: Sequence[int] = ()
    """The number of rows of each file."""
    ngrams: Ngrams | None = None
    """Those of the questions, in place of fingerprints."""
    places: Sequence[tuple[str, int]] = ()
    """With `ngrams`, the file and the number of each row."""

    def among(self, rows: Rows, overlaps: Overlaps | None) -> Indices:
        """The rows of the mix that are excluded."""
        if overlaps is not None:
            return np.unique(overlaps.rows)
        return find_among(*rows.compared, self.hashes) if len(self.hashes) else NO_ROWS

    def matched(self, rows: Rows, overlaps: Overlaps | None) -> list[int]:
        """For each file, how many of its rows are among those of the mix."""
        if overlaps is not None:
            return overlaps.matched(self.rows)
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
    files: Sequence[InputFile], settings: MixSettings, pool: Workers
) -> Excluded:
    """The fingerprints, or the n-grams, of all rows of the excluded files.

    Args:
        files: The files.
        settings: The settings of the mix.
        pool: The workers that read.

    Raises:
        MixError: If a row cannot be read: it would be trained on unnoticed.
    """
    n = settings.exclude_ngram if settings.exclude_by == "ngrams" else 0
    tasks = [
        (piece, for_workers(SourceSettings(path=file.label)), settings.exclude_by, n)
        for file in files
        for piece in file.pieces
    ]
    labels = [file.label for file in files for _ in file.pieces]
    found = list(pool.map(read_piece, tasks))
    _refuse_unread(labels, found)
    if not found:
        return Excluded(rows=[0] * len(files))
    counts = dict.fromkeys(labels, 0)
    for label, piece in zip(labels, found, strict=True):
        counts[label] += len(piece.numbers)
    rows = [counts.get(file.label, 0) for file in files]
    if not n:
        return Excluded(np.concatenate([piece.hashes for piece in found]), rows)
    ngrams = Ngrams.of([own for piece in found for own in piece.ngrams], n)
    places = [
        (label, number)
        for label, piece in zip(labels, found, strict=True)
        for number in piece.numbers
    ]
    return Excluded(rows=rows, ngrams=ngrams, places=places)


def _refuse_unread(labels: Sequence[str], found: Sequence[Spooled]) -> None:
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


@dataclass
class ReadPiece(Spooled):
    """The rows of a piece of an excluded file."""

    numbers: list[int] = field(default_factory=list)
    """The number of each row."""
    ngrams: list[Hashes] = field(default_factory=list)
    """With `exclude_by: ngrams`, those of each row's question."""


def read_piece(piece: Piece, settings: SourceSettings, by: str, n: int) -> ReadPiece:
    """The fingerprints, or the n-grams, of the rows of a piece, and its faults."""
    found = ReadPiece(piece, "", np.empty((0, 2), np.uint64), np.empty(0, np.int64))
    digests = bytearray()
    reader = RowReader(settings, piece.kind in ("parquet", "arrow"))
    for number, row in all_rows(piece):
        found.rows_read += 1
        try:
            if isinstance(row, RowFault):
                raise row
            if by == "ngrams":
                found.ngrams.append(ngrams_of(iter([reader.question(row)]), n))
            elif by == "question":
                digests += question_fingerprint(reader.question(row))
            else:
                digests += fingerprint(reader.read(row)[1])
            found.numbers.append(number)
        except RowFault as fault:
            found.note(number, fault)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            found.note(number, RowFault("wrong-type", str(error)[:120]))
    found.hashes = as_hashes(digests)
    return found
