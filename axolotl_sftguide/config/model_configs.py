"""A model's own `config.json`, if it is on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .json_text import parse_json


def read_model_config(base_model: str) -> dict[str, Any] | None:
    """The `config.json` in a local folder or in the Hub's cache; None without one."""
    return read_model_file(base_model, "config.json")


def read_model_file(base_model: str, name: str) -> dict[str, Any] | None:
    """A JSON file of a model in a local folder or in the Hub's cache, or None."""
    for path in (Path(base_model, name), _cached(base_model, name)):
        content = _content(path) if path else None
        if content is not None:
            return content
    return None


def _content(path: Path) -> dict[str, Any] | None:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return _usable(content) if isinstance(content, dict) else None


_LARGEST = 10**15
"""The largest sizes of models, their positions without a limit, are 10**12."""


def _usable(value: Any) -> Any:
    """The value with None for numbers that no model has and floats cannot hold."""
    if isinstance(value, dict):
        return {key: _usable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_usable(inner) for inner in value]
    if isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
        return None
    return value


def unfit_path(base_model: str) -> str:
    """Why a path on this machine is no model; empty if there is nothing at the path."""
    path = Path(base_model)
    try:
        if path.is_file():
            return "is a file; name the folder with the model's config.json"
        if not base_model or not path.is_dir():
            return ""
        if (path / "config.json").is_file():
            return "its config.json cannot be read, or is no JSON object; repair it"
    except OSError:  # a folder that may not be read, or too long a name
        return ""
    return "the folder has no config.json; name the folder that the model was saved in"


def model_file(base_model: str, name: str) -> Path | None:
    """Where a file of a model is: in a local folder or in the Hub's cache, or None."""
    own = Path(base_model, name)
    try:
        return own if own.is_file() else _cached(base_model, name)
    except OSError:  # a folder that may not be read, or too long a name
        return None


def _cached(base_model: str, name: str) -> Path | None:
    """The file in the Hub's cache, at the commit of the branch `main`."""
    try:
        from huggingface_hub import constants

        folder = f"models--{base_model.replace('/', '--')}"
        if not Path(constants.HF_HUB_CACHE, folder).is_dir():
            return None  # spares a quarter of a second of imports
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(base_model, name)
    except (ImportError, ValueError, OSError):
        return None  # not installed, or not the name of a repository, nor of a file
    return Path(found) if isinstance(found, str) else None


def download_model_config(base_model: str) -> dict[str, Any] | None:
    """The `config.json` on the Hub; None if it cannot be had, or the Hub is off.

    Only this file is loaded, into the Hub's cache.
    """
    if base_model.count("/") != 1 or _is_offline():
        return None
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        return None
    try:
        path = hf_hub_download(base_model, "config.json", etag_timeout=5)
    except (HfHubHTTPError, OSError, ValueError, RuntimeError):
        return None  # no such model, no access, or no connection
    return _content(Path(path))


def _is_offline() -> bool:
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(
        os.environ.get(n, "").upper() in ("1", "ON", "YES", "TRUE") for n in names
    )


def parameters_of(base_model: str) -> int | None:
    """About how many parameters a model has; None without its `config.json`."""
    config = read_model_config(base_model)
    return parameter_count(config) if config else None


def parameter_count(config: dict[str, Any]) -> int | None:
    """Parameters of a dense decoder, to within a few percent; None for other models."""
    try:
        hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
        heads = int(config["num_attention_heads"])
        inner, vocabulary = int(config["intermediate_size"]), int(config["vocab_size"])
        kv = int(config.get("num_key_value_heads") or heads)
        width = int(config.get("head_dim") or hidden // heads)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    if not all(0 < n < 10**9 for n in (hidden, layers, heads, inner, vocabulary, kv)):
        return None
    layer = 2 * hidden * width * (heads + kv) + 3 * hidden * inner
    tables = 1 if config.get("tie_word_embeddings") else 2
    return layers * layer + tables * vocabulary * hidden
