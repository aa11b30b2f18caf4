"""How Axolotl evaluates, by a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def packs_evaluations(config: Mapping[str, Any]) -> bool:
    """Whether Axolotl packs the rows of an evaluation."""
    packs = config.get("eval_sample_packing")
    if packs is None:
        packs = not config.get("eval_table_size")
    return bool(config.get("sample_packing") and packs)
