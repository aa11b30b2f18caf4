"""The numbers that a plan reads from a config, validated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..config.validation import shown
from ..errors import PlanError

_KEYS: dict[str, tuple[float, int]] = {
    "micro_batch_size": (1, 1),
    "gradient_accumulation_steps": (1, 1),
    "sequence_len": (512, 1),
    "lora_r": (0, 0),
    "max_steps": (-1, -1),
    "num_epochs": (1.0, 0),
}
"""By key: Axolotl's default, an int if only whole numbers are valid, and a minimum."""
_MOST = 10**9


def read_numbers(config: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers by key, with Axolotl's default for a missing key.

    Raises:
        PlanError: With every wrong number.
    """
    found, problems = {}, []
    for key, (default, least) in _KEYS.items():
        value = default if config.get(key) is None else config[key]
        number, whole = _number(value), isinstance(default, int)
        if not least <= number <= _MOST or (whole and number % 1):
            kind = "a whole number" if whole else "a number"
            bound = f"at most {_MOST:,}" if number > _MOST else f"at least {least}"
            rule = kind if math.isnan(number) else f"{kind}, {bound}"
            problems.append(f"{key} must be {rule}, got {shown(value)}")
        else:
            found[key] = int(number) if whole else number
    if problems:
        raise PlanError("; ".join(problems))
    return found


def _number(value: Any) -> float:
    """NaN for anything but a number; numeric text counts, as it does for Axolotl."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except OverflowError:  # more digits than a float has room for
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return math.nan
    return number
