"""The `config.json` of some public models, for plans without a download.

Only the keys that determine shapes, from each model's page on the Hub.
"""

from __future__ import annotations

from typing import Any

from ..config.model_configs import read_model_config


def _decoder(
    model_type: str,
    hidden: int,
    inner: int,
    layers: int,
    heads: int,
    kv_heads: int,
    vocabulary: int,
    *,
    head_dim: int | None = None,
    tied: bool = False,
) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim or hidden // heads,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
    }


KNOWN: dict[str, dict[str, Any]] = {
    "mistralai/Mistral-7B-v0.1": _decoder("mistral", 4096, 14336, 32, 32, 8, 32000),
    "meta-llama/Llama-2-7b-hf": _decoder("llama", 4096, 11008, 32, 32, 32, 32000),
    "meta-llama/Llama-3.1-8B": _decoder("llama", 4096, 14336, 32, 32, 8, 128256),
    "meta-llama/Llama-3.2-1B": _decoder(
        "llama", 2048, 8192, 16, 32, 8, 128256, tied=True
    ),
    "meta-llama/Llama-3.2-3B": _decoder(
        "llama", 3072, 8192, 28, 24, 8, 128256, tied=True
    ),
    "Qwen/Qwen2.5-7B": _decoder("qwen2", 3584, 18944, 28, 28, 4, 152064),
    "Qwen/Qwen3-4B-Base": _decoder(
        "qwen3", 2560, 9728, 36, 32, 8, 151936, head_dim=128, tied=True
    ),
    "Qwen/Qwen3-8B-Base": _decoder(
        "qwen3", 4096, 12288, 36, 32, 8, 151936, head_dim=128
    ),
    "ibm-granite/granite-4.1-8b-base": _decoder(
        "granite", 4096, 12800, 40, 32, 8, 100352, tied=True
    ),
    "HuggingFaceTB/SmolLM3-3B-Base": _decoder(
        "smollm3", 2048, 11008, 36, 16, 4, 128256, tied=True
    ),
    "google/gemma-2-9b": _decoder(
        "gemma2", 3584, 14336, 42, 16, 8, 256000, head_dim=256, tied=True
    ),
    "microsoft/Phi-3-mini-4k-instruct": _decoder("phi3", 3072, 8192, 32, 32, 32, 32064),
    "allenai/OLMo-2-1124-7B": _decoder("olmo2", 4096, 11008, 32, 32, 32, 100352),
    "bigcode/starcoder2-3b": _decoder(
        "starcoder2", 3072, 12288, 30, 24, 2, 49152, tied=True
    ),
}


def find_model(name: str) -> dict[str, Any] | None:
    """A model's `config.json`: a local folder's, the Hub cache's, or one of `KNOWN`."""
    return read_model_config(name) or KNOWN.get(name)
