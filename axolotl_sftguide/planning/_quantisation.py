"""The bits in which Axolotl loads the weights of linear layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_STORED = re.compile(r"bnb[-_]?([48])bit|[-_](gptq|awq)(?![a-z])", re.IGNORECASE)


class Bits(NamedTuple):
    """How the linear layers are held."""

    bits: int | None = None
    """4 or 8 if they are quantised by bitsandbytes."""
    upcast: bool = False
    """Whether they are in 32 bits, beside other weights in 16."""
    other: str = ""
    """A quantisation that is not planned."""


AS_IS = Bits()


def stored_bits(model_config: Mapping[str, Any], name: str) -> Bits:
    """How a model is stored, by its `config.json`, or else by its name."""
    block = model_config.get("quantization_config")
    if isinstance(block, Mapping):
        if block.get("load_in_4bit"):
            return Bits(4)
        if block.get("load_in_8bit"):
            return Bits(8)
        return Bits(other=str(block.get("quant_method") or "another quantisation"))
    named = _STORED.search(name)
    if named is None:
        return Bits()
    return Bits(int(named[1])) if named[1] else Bits(other=named[2].lower())


def loaded_bits(
    config: Mapping[str, Any], stored: Bits, *, stage: int, by_axolotl: bool
) -> Bits:
    """How the linear layers are loaded.

    Axolotl reads `load_in_4bit` for `adapter: qlora` and `load_in_8bit` for `adapter:
    lora` (loaders/model.py, `_set_quantization_config`). With the other one it still
    prepares the model as a quantised one, which casts 16-bit layers to 32 bits.
    """
    adapter = config.get("adapter")
    four, eight = bool(config.get("load_in_4bit")), bool(config.get("load_in_8bit"))
    if stored.other or (stored.bits and adapter):
        return stored
    if not by_axolotl or adapter not in ("lora", "qlora"):
        return Bits(4 if four else 8 if eight else None)
    if adapter == "qlora":
        return Bits(4 if four else 8 if eight else None)
    if eight:
        return Bits(8)
    block = config.get("fsdp_config")
    block = block if isinstance(block, Mapping) else {}
    whole = block.get("cpu_ram_efficient_loading")
    whole = whole or block.get("fsdp_cpu_ram_efficient_loading")
    deepspeed = stage == 3 and bool(config.get("deepspeed"))
    return Bits(upcast=four and not whole and not deepspeed)
