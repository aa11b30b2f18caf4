"""Some of the rows that are left out for a likeness, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from ._overlap import Overlaps
from ._plan import NearDuplicates
from ._write import Lines

_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Examples:
    """Places of rows, each with the row or question that it is like."""

    near_duplicates: list[dict[str, Any]] = field(default_factory=list)
    overlaps: list[dict[str, Any]] = field(default_factory=list)


def near_duplicate_examples(lines: Lines, near: NearDuplicates) -> list[dict[str, Any]]:
    """The near-duplicates that are the least similar to the row that is kept."""
    return [
        {
            "row": _place(lines, int(near.rows[i])),
            "similar_to": _place(lines, int(near.originals[i])),
            "similarity": round(float(near.similarities[i]), _DIGITS),
        }
        for i in near.least()
    ]


def overlap_examples(
    lines: Lines, overlaps: Overlaps | None, places: Sequence[tuple[str, int]]
) -> list[dict[str, Any]]:
    """The rows with the least overlap with an excluded question.

    Args:
        lines: The places of all lines.
        overlaps: The overlaps, if they were searched for.
        places: The file and the number of each excluded row.
    """
    if overlaps is None:
        return []
    return [
        {
            "row": _place(lines, int(overlaps.rows[i])),
            "excluded": "{}:{}".format(*places[int(overlaps.owners[i])]),
            "overlap": round(float(overlaps.shares[i]), _DIGITS),
        }
        for i in overlaps.least()
    ]


def _place(lines: Lines, row: int) -> str:
    """The file and the number of a row."""
    own = orjson.loads(lines.read(np.array([row], np.uint32)))
    return f"{own['source']}:{own['row']}"
