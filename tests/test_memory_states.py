"""Planned weights, adapters and states against those of real models and optimizers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from axolotl_sftguide import plan_memory
from axolotl_sftguide.errors import PlanError
from axolotl_sftguide.planning import read_architecture, read_setting
from axolotl_sftguide.planning._states import adapter_shapes

MODEL = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 512,
}
LORA = {"adapter": "lora", "lora_r": 4, "bf16": True, "sequence_len": 128}


def made(config: dict[str, Any], device: str = "meta") -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device(device):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))


def sizes(asked: dict[str, Any], **known: Any) -> dict[str, int]:
    parts = plan_memory(asked, MODEL, **known).parts
    return {part.name: part.size_bytes for part in parts}


@pytest.mark.parametrize(
    "model_type", ["qwen3", "gemma", "gemma2", "gemma3_text", "starcoder2", "mistral"]
)
@pytest.mark.parametrize("more", [{}, {"head_dim": 32}])
def test_a_config_json_without_the_width_of_heads_has_transformers_own(
    model_type: str, more: dict[str, int]
) -> None:
    pytest.importorskip("transformers")
    config = {**MODEL, "model_type": model_type, **more}
    count = sum(p.numel() for p in made(config).parameters())
    assert read_architecture(config).parameters == count


@pytest.mark.parametrize(
    "asked",
    [
        {"lora_target_modules": "model.layers.[0-9]+.self_attn.(q|k)_proj"},
        {"lora_target_modules": r"model.layers.[\d]+.(mlp|self_attn).(up|q)_proj"},
        {"lora_target_modules": ["layers.0.self_attn.q_proj", "v_proj"]},
        {"lora_target_modules": ["q_proj", "embed_tokens", "lm_head"]},
        {"lora_target_modules": ["model.layers.1.mlp.down_proj"]},
        {"lora_target_modules": ["q_proj"], "peft_layers_to_transform": [0, 2]},
        {"lora_target_modules": ["o_proj"], "lora_modules_to_save": ["embed_tokens"]},
    ],
)
def test_adapters_are_on_the_layers_that_peft_finds(asked: dict[str, Any]) -> None:
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(
        r=4,
        target_modules=asked["lora_target_modules"],
        layers_to_transform=asked.get("peft_layers_to_transform"),
        modules_to_save=asked.get("lora_modules_to_save"),
    )
    model = peft.get_peft_model(made(MODEL), settings)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    architecture = read_architecture(MODEL)
    setting = read_setting({**LORA, **asked}, architecture)
    assert sum(adapter_shapes(architecture, setting)) == count


@pytest.mark.parametrize("asked", [["q_proj|k_proj"], "layers.0.q_proj", "(q_proj"])
def test_names_and_patterns_that_match_no_layer_are_refused(asked: Any) -> None:
    with pytest.raises(PlanError, match="lora_target_modules"):
        plan_memory({**LORA, "lora_target_modules": asked}, MODEL)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(
    "optimizer", ["adamw_bnb_8bit", "lion_8bit", "paged_adamw_32bit", "sgd"]
)
def test_states_are_those_of_transformers_own_optimizers(
    optimizer: str, tied: bool, tmp_path: Any
) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("bitsandbytes")
    config = {**MODEL, "tie_word_embeddings": tied}
    model = made(config, "cpu").to(torch.bfloat16)
    settings = transformers.TrainingArguments(
        str(tmp_path), optim=optimizer, report_to=[], use_cpu=True
    )
    trained = transformers.Trainer(model, settings).create_optimizer()
    tokens = torch.arange(8)[None]
    model(input_ids=tokens, labels=tokens).loss.backward()
    trained.step()
    held = sum(
        tensor.nbytes
        for state in trained.state.values()
        for key, tensor in state.items()
        if isinstance(tensor, torch.Tensor) and not key.startswith("qmap")
    )
    asked = {"bf16": True, "sequence_len": 128, "optimizer": optimizer}
    parts = plan_memory(asked, config).parts
    (planned,) = [p.size_bytes for p in parts if p.name == "optimizer"]
    norms = 8 * (2 * 3 + 1) * 128  # small tensors keep 32 bits, which a plan leaves out
    assert planned == pytest.approx(held, abs=norms)


@pytest.mark.parametrize(
    ("name", "asked", "bytes_a_number"),
    [
        ("a", {}, 2.0),
        ("a", {"load_in_4bit": True}, 4.0),
        ("a", {"load_in_8bit": True}, 1.0),
        ("a", {"load_in_8bit": True, "load_in_4bit": True}, 1.0),
        ("a", {"adapter": "qlora", "load_in_4bit": True}, 0.5),
        ("unsloth/llama-3-8b-bnb-4bit", {}, 0.5),
    ],
)
def test_linear_layers_have_the_bits_that_axolotl_loads(
    name: str, asked: dict[str, Any], bytes_a_number: float
) -> None:
    config = {**LORA, "lora_target_linear": True, "base_model": name, **asked}
    found = sizes(config)
    weights = sum(v for k, v in found.items() if k.endswith("weights"))
    architecture = read_architecture(MODEL)
    rest = 2 * (architecture.parameters - architecture.quantisable)
    each = (weights - rest) / architecture.quantisable
    assert each == pytest.approx(bytes_a_number, rel=0.3)


@pytest.mark.parametrize("name", ["TheBloke/Mistral-7B-v0.1-GPTQ", "mine/model-AWQ"])
def test_weights_in_another_quantisation_are_named(name: str) -> None:
    config = {**LORA, "lora_target_linear": True, "base_model": name}
    (named,) = plan_memory(config, MODEL).not_planned
    assert named.endswith(name.rpartition("-")[2].lower())
    stored = {**MODEL, "quantization_config": {"quant_method": "gptq", "bits": 4}}
    plan = plan_memory({**config, "base_model": "a"}, stored)
    assert plan.not_planned == ("quantization_config: weights in gptq",)
    assert not plan.states_are_exact


def test_replicas_and_kept_weights_of_fsdp_count() -> None:
    asked = {"bf16": True, "sequence_len": 128, "fsdp_version": 2}
    block = {"transformer_layer_cls_to_wrap": "LlamaDecoderLayer"}
    all_eight = sizes({**asked, "fsdp_config": block}, gpus=8)
    replicas = {**asked, "fsdp_config": block, "dp_replicate_size": 2}
    two_times_four = sizes(replicas, gpus=8)
    assert two_times_four["weights"] == 2 * all_eight["weights"]
    assert sizes({**replicas, "dp_shard_size": 4}, gpus=8) == two_times_four
    kept = {**block, "reshard_after_forward": False}
    kept_weights = sizes({**asked, "fsdp_config": kept}, gpus=8)["gathered weights"]
    assert kept_weights > 2 * read_architecture(MODEL).parameters
    listed = {**asked, "fsdp_config": block, "fsdp": ["shard_grad_op", "auto_wrap"]}
    assert sizes(listed, gpus=8)["gathered weights"] == kept_weights


def test_other_modules_that_are_trained_whole_are_named() -> None:
    asked = {**LORA, "lora_target_linear": True}
    saved = {**asked, "lora_modules_to_save": ["lm_head", "norm", "mlp"]}
    assert plan_memory(saved, MODEL).not_planned == ("lora_modules_to_save: mlp",)
