"""What a model's own `config.json` says of it, where it lies on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_model_config(base_model: str) -> dict[str, Any] | None:
    """The `config.json` of a local folder; None where there is none to be read."""
    try:
        text = (Path(base_model) / "config.json").read_text(encoding="utf-8")
        config = json.loads(text)
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def parameter_count(config: dict[str, Any]) -> int | None:
    """Parameters of a dense decoder, to within a few percent; None for others."""
    try:
        hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
        heads = int(config["num_attention_heads"])
        inner, words = int(config["intermediate_size"]), int(config["vocab_size"])
        kv = int(config.get("num_key_value_heads") or heads)
        width = int(config.get("head_dim") or hidden // heads)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    layer = 2 * hidden * width * (heads + kv) + 3 * hidden * inner
    tables = 1 if config.get("tie_word_embeddings") else 2
    return layers * layer + tables * words * hidden
