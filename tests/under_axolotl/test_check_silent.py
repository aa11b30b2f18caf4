"""What Axolotl, transformers and peft do silently is what `check` says they do."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from finding_cases import FULL, patched
from four_bits import BASE
from transformers import AutoConfig, AutoModelForCausalLM, get_scheduler

from axolotl_sftguide import advise

LORA = f"base_model: {BASE}\nlora_target_modules: [q_proj]\nlora_target_linear: null\n"


@pytest.mark.parametrize(
    ("schedule", "arguments", "wrong"),
    [
        ("cosine", {"num_cycles": 0.5}, False),
        ("cosine", {"num_cyles": 0.5}, True),
        ("cosine_with_min_lr", {"min_lr_rate": 0.1}, False),
        ("cosine_with_min_lr", {}, True),
        ("warmup_stable_decay", {"num_decay_steps": 10}, False),
        ("linear", {"lr_end": 1e-6}, True),
        ("polynomial", {"lr_end": 1e-6}, False),
        ("inverse_sqrt", {"timescale": 100}, False),
    ],
)
def test_arguments_of_a_schedule_are_those_that_transformers_takes(
    schedule: str, arguments: dict[str, Any], wrong: bool
) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    make = partial(
        get_scheduler,
        schedule,
        optimizer,
        num_warmup_steps=2,
        num_training_steps=20,
        scheduler_specific_kwargs=dict(arguments),
    )
    with pytest.raises((TypeError, ValueError)) if wrong else nullcontext():
        make()
    written = {
        **patched(FULL),
        "lr_scheduler": schedule,
        "lr_scheduler_kwargs": arguments,
    }
    found = [f for f in advise(written) if f.id == "schedule-arguments"]
    assert bool(found) == wrong


def small_llama() -> Any:
    config = AutoConfig.for_model(
        "llama",
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    "pattern",
    [
        "model.layers.1[0-9]*.mlp",
        "^lm_head.weight$",
        "^model.embed_tokens.weight$[:8]",
        "layers.1.mlp",
        "embed_tokens",
        "transformer.h.1",
    ],
)
def test_patterns_of_unfrozen_parameters_match_as_axolotl_matches_them(
    pattern: str,
) -> None:
    from axolotl.utils.freeze import freeze_layers_except

    model = small_llama()
    freeze_layers_except(model, [pattern])
    trained = any(p.requires_grad for p in model.parameters())
    found = advise(
        {**patched(FULL), "unfrozen_parameters": [pattern]}, model_type="llama"
    )
    assert ("unfrozen-none" in {f.id for f in found}) == (not trained)


def test_unfrozen_parameters_freeze_an_adapter() -> None:
    from axolotl.utils.freeze import freeze_layers_except
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(small_llama(), LoraConfig(r=2, target_modules=["q_proj"]))
    freeze_layers_except(model, ["model.layers.1.mlp", "^lm_head"])
    assert not any(p.requires_grad for p in model.parameters())
    written = patched("unfrozen_parameters: ['model.layers.1.mlp', '^lm_head']")
    assert "adapter-frozen" in {f.id for f in advise(written)}


@pytest.mark.parametrize(
    "names", [["embed_tokens", "lm_head"], ["embed_token"], ["wte"], ["model.lm_head"]]
)
def test_names_of_saved_modules_that_peft_skips_are_named(names: list[str]) -> None:
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=names)
    model = get_peft_model(small_llama(), settings)
    saved = {
        name.split(".modules_to_save")[0].rpartition(".")[2]
        for name, _ in model.named_parameters()
        if "modules_to_save" in name
    }
    written = {**patched(), "lora_modules_to_save": names}
    found = advise(written, model_type="llama")
    named = [f for f in found if f.id == "saved-modules-absent"]
    assert bool(named) == (len(saved) < len(names))


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ({}, torch.bfloat16),
        ({"load_in_4bit": True}, torch.float32),
    ],
)
def test_linear_layers_of_lora_with_load_in_4bit_end_in_32_bits(
    lines: dict[str, Any], number: torch.dtype, tmp_path: Any
) -> None:
    from axolotl.loaders import ModelLoader, load_tokenizer
    from axolotl.utils.config import normalize_config, validate_config
    from axolotl.utils.dict import DictDefault

    off = {f"lora_{k}_kernel": False for k in ("mlp", "qkv", "o", "embedding")}
    settings = {**patched(LORA), **lines, **off, "attn_implementation": "sdpa"}
    cfg = validate_config(
        DictDefault({**settings, "output_dir": str(tmp_path)}),
        capabilities={"bf16": True, "n_gpu": 0, "compute_capability": "sm_90"},
        env_capabilities={"torch_version": torch.__version__.partition("+")[0]},
    )
    normalize_config(cfg)
    model, _ = ModelLoader(cfg, load_tokenizer(cfg)).load()
    types = {
        p.dtype for n, p in model.named_parameters() if n.endswith("base_layer.weight")
    }
    assert types == {number}
    ids = {f.id for f in advise(settings)}
    assert ("four-bits-ignored" in ids) == bool(lines)
