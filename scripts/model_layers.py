"""Write the names of layers by model type, from transformers' own models.

    python scripts/model_layers.py

`sftguide check` compares `lora_target_modules` and FSDP's layer class with them. The
models are made without memory, with the default configuration of their type; types
whose layer names depend on the configuration are left out.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

TYPES = """
bloom cohere cohere2 falcon gemma gemma2 gemma3_text glm glm4 gpt2 gpt_bigcode
gpt_neox gpt_oss gptj granite helium llama mistral mixtral mpt nemotron olmo olmo2
opt phi phi3 qwen2 qwen3 qwen3_moe smollm3 stablelm starcoder2
""".split()

OF_EXPERTS = ("gpt_oss", "mixtral", "qwen3_moe")
"""peft translates names of experts' layers, so that theirs are not listed."""

SIZES = {"nemotron": {"num_key_value_heads": 8}}
"""Where the default configuration makes no model."""


def names(model_type: str) -> dict[str, list[str]]:
    """Names of modules that an adapter can be on, and classes of all modules."""
    with torch.device("meta"):
        config = AutoConfig.for_model(model_type, **SIZES.get(model_type, {}))
        model = AutoModelForCausalLM.from_config(config)
    kinds = (torch.nn.Linear, torch.nn.Embedding)
    layers = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, kinds) or type(module).__name__ == "Conv1D"
    }
    blocks = {
        type(module).__name__
        for name, module in model.named_modules()
        if name and not name.isdecimal() and len(list(module.children())) > 1
    }
    split = {str(name) for name in model._no_split_modules or ()}
    if model_type in OF_EXPERTS:
        layers = set()
    return {"layers": sorted(layers), "blocks": sorted(blocks | split)}


def main() -> None:
    """Write the file."""
    made = {"transformers": transformers.__version__, "types": {}}
    for model_type in TYPES:
        made["types"][model_type] = names(model_type)
    folder = Path(__file__).parent.parent / "axolotl_sftguide" / "config"
    text = json.dumps(made, indent=1)
    target = folder / "model_layers.json"
    target.write_text(text.replace("\n    ", " ").replace("\n   ]", "]") + "\n")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
