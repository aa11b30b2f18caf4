"""The kind of a training, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def training_kind(fields: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Full fine-tuning, or the adapter with its rank and alpha.

    Args:
        fields: The fields of the run's comparability key.
        config: Its configuration, which tells QLoRA from LoRA.
    """
    adapter = fields.get("adapter")
    if not adapter:
        return "full fine-tuning"
    four_bits = config.get("load_in_4bit") or config.get("adapter") == "qlora"
    kind = "QLoRA" if four_bits else "LoRA"
    if not isinstance(adapter, Mapping):
        return kind
    return f"{kind}, r {adapter.get('r')}, alpha {adapter.get('lora_alpha')}"
