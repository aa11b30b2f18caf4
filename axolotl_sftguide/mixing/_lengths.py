"""How long the rows are, in tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Lengths = Mapping[str, Any]
"""`rows`, `median`, `p90`, `p99`, `longest`, and `up_to`: the rows by the first of the
numbers 64, 96, 128, 192, 256, 384, ... that they are not longer than."""

_FIRST = 64


def lengths_of(tokens: Sequence[int] | NDArray[Any]) -> dict[str, Any] | None:
    """The lengths of rows; None without any."""
    ordered = np.sort(np.asarray(tokens, np.int64))
    if not len(ordered):
        return None
    quantiles = {
        name: int(ordered[int(np.ceil(share * len(ordered))) - 1])
        for name, share in (("median", 0.5), ("p90", 0.9), ("p99", 0.99))
    }
    longest = int(ordered[-1])
    edges = [_FIRST]
    while edges[-1] < longest:
        last = edges[-1]
        is_power = last & (last - 1) == 0
        edges.append(last * 3 // 2 if is_power else last * 4 // 3)
    ends = np.searchsorted(ordered, edges, side="right")
    counts = np.diff(ends, prepend=0).tolist()
    up_to = {str(edge): n for edge, n in zip(edges, counts, strict=True) if n}
    return {"rows": len(ordered), **quantiles, "longest": longest, "up_to": up_to}


def longer_than(lengths: Lengths, limit: int) -> tuple[int, bool]:
    """How many rows are longer than a limit, or at most; and whether that is exact."""
    if lengths["longest"] <= limit:
        return 0, True
    above = [
        (int(edge), n) for edge, n in lengths["up_to"].items() if int(edge) > limit
    ]
    edge = next(iter(above))[0]
    is_power = edge & (edge - 1) == 0
    before = edge * 3 // 4 if is_power else edge * 2 // 3
    return sum(n for _, n in above), before == limit
