"""Which runs may be compared: the comparability key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

TOKEN_MEAN = "token mean"
"""The loss normalisation under which a batch's division does not matter."""

BATCH_FIELDS = ("micro_batch_size", "gradient_accumulation_steps", "ranks")
"""What makes the effective batch size."""


def comparability_key(fields: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that are equal where all the fields are equal.

    Args:
        fields: JSON values by name: the host and its loss normalisation, base model,
            adapter, trainable parameters, data, sequence length, packing, batch,
            clipping, dtype. What a sweep varies (learning rate, schedule, seed,
            number of steps) is left out by the caller.
    """
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def batch_ratio(fields: Mapping[str, Any], theirs: Mapping[str, Any]) -> float | None:
    """Their effective batch size over ours, where nothing else tells two runs apart.

    With it, norms of one can be stated at the batch size of the other, if their noise
    was measured. None where the keys differ in more than the batch, or where the loss
    is not the mean over all trained tokens: then its division changes the gradient.
    """
    if fields.get("loss_normalisation") != TOKEN_MEAN:
        return None
    rest, other = (
        {name: value for name, value in each.items() if name not in BATCH_FIELDS}
        for each in (fields, theirs)
    )
    sizes = [effective_batch_size(each) for each in (fields, theirs)]
    if comparability_key(rest) != comparability_key(other) or None in sizes:
        return None
    return sizes[1] / sizes[0]  # type: ignore[operator]


def effective_batch_size(fields: Mapping[str, Any]) -> int | None:
    """Samples (under packing, bins) of an optimizer step over all ranks."""
    size = 1
    for name in BATCH_FIELDS:
        factor = fields.get(name)
        if not isinstance(factor, int) or factor < 1:
            return None
        size *= factor
    return size


def _plain(value: Any) -> Any:
    # The order of a set differs from process to process.
    return (
        sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)
    )
