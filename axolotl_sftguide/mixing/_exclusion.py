"""Rows that `exclude` keeps out of the dataset, such as those of the evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..config.mix_settings import SourceSettings
from ._columns import Hashes, Indices, Rows
from ._faults import RowFault
from ._fingerprint import fingerprint
from ._forms import conversation
from ._pieces import InputFile, Piece
from ._readers import rows_of
from ._spool import as_hashes
from ._workers import Workers


def excluded_hashes(files: Sequence[InputFile], pool: Workers) -> Hashes | None:
    """The fingerprints of all rows of the excluded files; None without such files."""
    tasks = [
        (piece, SourceSettings(path=file.label))
        for file in files
        for piece in file.pieces
    ]
    found = list(pool.map(hashes_of, tasks))
    return np.concatenate(found) if found else None


def hashes_of(piece: Piece, settings: SourceSettings) -> Hashes:
    """The fingerprints of the usable rows of a piece."""
    digests = bytearray()
    for _, row in rows_of(piece):
        if isinstance(row, RowFault):
            continue
        try:
            digests += fingerprint(conversation(row, settings, False)[1])
        except (RowFault, TypeError, ValueError, KeyError, AttributeError):
            continue
    return as_hashes(digests)


def find_excluded(rows: Rows, excluded: Hashes) -> Indices:
    """The rows whose fingerprint is among those excluded, of shape (n, 2)."""
    forbidden = {(int(high), int(low)) for high, low in excluded}
    near = np.flatnonzero(np.isin(rows.high, excluded[:, 0])).astype(np.uint32)
    pairs = zip(rows.high[near].tolist(), rows.low[near].tolist(), strict=True)
    found: Indices = near[np.array([pair in forbidden for pair in pairs], bool)]
    return found
