"""Names of layers by model type, written by `scripts/model_layers.py`."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any


@lru_cache(maxsize=1)
def _types() -> dict[str, Any]:
    path = Path(__file__).with_name("model_layers.json")
    types: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["types"]
    return types


def layer_names(model_type: str | None) -> tuple[str, ...]:
    """Names of the layers that an adapter can be on; empty if they are not known."""
    return tuple(_types().get(model_type or "", {}).get("layers", ()))


def block_classes(model_type: str | None) -> tuple[str, ...]:
    """Classes of the model's larger modules; empty if they are not known."""
    return tuple(_types().get(model_type or "", {}).get("blocks", ()))
