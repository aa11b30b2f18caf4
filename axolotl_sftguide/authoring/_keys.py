"""The keys that decide the memory of a candidate, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..config.model_layers import block_classes
from ._candidates import Candidate
from ._choice import Choice
from ._model import ModelFacts

UNFUSED = ("granite", "granitemoe")
"""Architectures without a fused loss in Liger, as their logits are scaled."""

LIGER = (
    "gemma",
    "gemma2",
    "gemma3_text",
    "granite",
    "llama",
    "mistral",
    "olmo2",
    "phi3",
    "qwen2",
    "qwen3",
    "smollm3",
)
"""Architectures that Liger's kernels know, of those that are planned."""


def memory_choices(candidate: Candidate, model: ModelFacts) -> list[Choice]:
    """All keys that decide the memory."""
    return [
        *state_choices(candidate),
        optimizer_choice(candidate),
        *kernel_choices(candidate, model),
    ]


def state_choices(candidate: Candidate) -> list[Choice]:
    """What is trained, and in which sequences."""
    return [*_adapter(candidate), *_sequences(candidate)]


def optimizer_choice(candidate: Candidate) -> Choice:
    """The optimizer."""
    return Choice("optimizer", candidate.optimizer, *_about_optimizer(candidate))


def kernel_choices(candidate: Candidate, model: ModelFacts) -> list[Choice]:
    """Precision, kernels, and what several GPUs divide between them."""
    if candidate.trainer == "trl":
        own = [Choice("loss_type", "chunked_nll", _IN_CHUNKS, "fits")]
    else:
        own = list(_liger(model))
    return [*_basics(candidate), *own, *_sharded(candidate, model)]


def _adapter(candidate: Candidate) -> Iterator[Choice]:
    if not candidate.is_adapter:
        return
    kind = candidate.training
    yield Choice("adapter", kind, "", "fits")
    if kind == "qlora":
        why = "NF4 with double quantisation, as Axolotl sets it"
        yield Choice("load_in_4bit", True, why, "default")
    yield _rank(candidate)
    yield Choice("lora_alpha", 32, "", "evidence", ("adapter-alpha",))
    yield Choice("lora_target_linear", True, "", "evidence", ("adapter-everywhere",))


def _rank(candidate: Candidate) -> Choice:
    rank = candidate.rank
    if candidate.rank_is_given:
        return Choice("lora_r", rank, "as given", "given")
    why = "more gained nothing" if rank == 64 else "a higher rank does not fit"
    return Choice("lora_r", rank, why, "evidence", ("adapter-rank",))


def _sequences(candidate: Candidate) -> Iterator[Choice]:
    layout = candidate.layout
    yield Choice("sequence_len", layout.sequence_len, "", "data")
    if layout.packed:
        yield Choice("sample_packing", True, "several rows to a sequence", "data")


def _about_optimizer(candidate: Candidate) -> tuple[str, Any]:
    if candidate.optimizer != "paged_adamw_8bit":
        return "the host's default", "default"
    return "two bytes per trained parameter, paged to the host if needed", "convention"


_IN_CHUNKS = "never holds all logits in memory; TRL 1.16 calls it nll"


def _basics(candidate: Candidate) -> Iterator[Choice]:
    why = "needs Ampere (RTX 30, A10, A100) or newer"
    if candidate.sharding == "fsdp" and not candidate.is_adapter:
        why += "; trained weights stay in float32 (FSDP2)"
    yield Choice("bf16", True, why, "default")
    yield Choice("tf32", True, "", "default")
    yield Choice("attn_implementation", "flash_attention_2", "", "default")
    yield Choice("gradient_checkpointing", True, "", "default")


def _liger(model: ModelFacts) -> Iterator[Choice]:
    if model.model_type in LIGER:
        for key in ("liger_rope", "liger_rms_norm", "liger_glu_activation"):
            yield Choice(key, True, "", "default")
    if model.model_type in LIGER and model.model_type not in UNFUSED:
        why = "never holds all logits in memory"
        yield Choice("liger_fused_linear_cross_entropy", True, why, "fits")
    else:
        why = "holds all logits in 16 bits only; Liger has no loss for this model"
        if model.model_type in UNFUSED:
            why += ", whose logits are scaled"
        yield Choice("chunked_cross_entropy", True, why, "fits")


def _sharded(candidate: Candidate, model: ModelFacts) -> Iterator[Choice]:
    if candidate.sharding == "zero":
        why = "`axolotl fetch deepspeed_configs` writes it; shards all states"
        path = "deepspeed_configs/zero3_bf16.json"
        yield Choice("deepspeed", path, why, "given")
    if candidate.sharding != "fsdp":
        return
    layers = [n for n in block_classes(model.model_type) if n.endswith("DecoderLayer")]
    why = "shards weights, gradients and optimizer over all GPUs"
    yield Choice("fsdp_version", 2, why, "fits")
    yield Choice(
        "fsdp_config.auto_wrap_policy", "TRANSFORMER_BASED_WRAP", "", "default"
    )
    for name in layers[:1]:
        key = "fsdp_config.transformer_layer_cls_to_wrap"
        yield Choice(key, name, "", "model")
    yield Choice("fsdp_config.state_dict_type", "FULL_STATE_DICT", "", "default")
    yield Choice("fsdp_config.reshard_after_forward", True, "", "default")
    if candidate.offload:
        why = "weights and optimizer are in the host's memory, which is slow"
        yield Choice("fsdp_config.offload_params", True, why, "fits")


def plugins(model: ModelFacts) -> list[str]:
    """Axolotl's plugins: this package's, and Liger's if it knows the model."""
    found = ["axolotl_sftguide.SFTGuidePlugin"]
    if model.model_type in LIGER:
        found.append("axolotl.integrations.liger.LigerPlugin")
    return found
