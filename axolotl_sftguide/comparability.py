"""Which runs may be compared: the comparability key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


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


def _plain(value: Any) -> Any:
    # The order of a set differs from process to process.
    return (
        sorted(map(str, value)) if isinstance(value, (set, frozenset)) else str(value)
    )
