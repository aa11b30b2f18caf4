"""What a model's own `config.json` says of it, where it lies on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def read_model_config(base_model: str) -> dict[str, Any] | None:
    """The `config.json` of a local folder, or of the hub's cache; None without one."""
    for folder in (Path(base_model), *_cached(base_model)):
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(config, dict):
            return config
    return None


def _cached(name: str) -> list[Path]:
    """Snapshots in the hub's cache, the newest first."""
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    cache = os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")
    folder = (
        Path(cache).expanduser() / f"models--{name.replace('/', '--')}" / "snapshots"
    )
    try:
        return sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    except OSError:
        return []


def parameters_of(base_model: str) -> int | None:
    """About how many parameters a model has, where its `config.json` is here."""
    config = read_model_config(base_model)
    return parameter_count(config) if config else None


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
