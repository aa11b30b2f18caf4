"""The numbers that a plan takes from a configuration, checked all at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..errors import PlanError

_KEYS: dict[str, tuple[float, int]] = {
    "micro_batch_size": (1, 1),
    "gradient_accumulation_steps": (1, 1),
    "sequence_len": (512, 1),
    "lora_r": (0, 0),
    "max_steps": (-1, -1),
    "num_epochs": (1.0, 0),
}
"""Axolotl's default, whole where the number must be, and the least that makes sense."""


def read_numbers(config: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers by key, with the host's defaults where nothing stands.

    Raises:
        PlanError: With all that are wrong.
    """
    found, problems = {}, []
    for key, (default, least) in _KEYS.items():
        value = default if config.get(key) is None else config[key]
        number, whole = _number(value), isinstance(default, int)
        if not number >= least or (whole and number % 1):
            kind = "a whole number" if whole else "a number"
            problems.append(f"{key} must be {kind} from {least} on, got {value!r}")
        else:
            found[key] = int(number) if whole else number
    if problems:
        raise PlanError("; ".join(problems))
    return found


def _number(value: Any) -> float:
    """NaN for what is none; text that says a number is one, as for the host."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan
