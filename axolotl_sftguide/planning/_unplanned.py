"""Keys that change the memory of a training, and are not part of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._targets import TABLES

_NEVER = (
    "activation_offloading",
    "layer_offloading",
    "selective_checkpointing",
    "unfrozen_parameters",
    "peft_use_dora",
    "peft_layer_replication",
    "peft_trainable_token_indices",
    "lora_rank_pattern",
    "lora_target_parameters",
    "lora_on_cpu",
    "tiled_mlp",
    "gptq",
    "model_quantization_config",
    "quantize_moe_experts",
    "ple_cpu_offload",
    "qat",
    "fp8",
    "torch_compile",
    "use_onebitllms",
    "use_kernels",
    "relora",
    "lisa_n_layers",
    "rl",
    "reward_model",
    "process_reward_model",
    "processor_type",
    "batch_flattening",
    "auto_find_batch_size",
    "resize_token_embeddings_to_32x",
    "shrink_embeddings",
    "embeddings_skip_upcast",
    "neftune_noise_alpha",
    "fp32_norms",
    "max_memory",
    "gpu_memory_limit",
    "deepcompile",
    "diffusion",
    "kd_trainer",
    "liger_cross_entropy",
    "mora",
    "expert_parallel_size",
)
"""With any value that is on."""

_SIZES = ("tensor_parallel_size", "context_parallel_size", "sequence_parallel_degree")
_PLANNED_OPTIMIZERS = ("adam", "lion", "sgd", "adafactor", "muon")
_OTHER_OPTIMIZERS = (
    "galore",
    "apollo",
    "ademamix",
    "adalomo",
    "grok",
    "schedule_free",
    "flash_",
)


def not_planned(
    loaded: Mapping[str, Any], architecture_is_dense: bool, quantisation: str = ""
) -> list[str]:
    """The keys of a config that change its memory in a way that is not planned.

    Args:
        loaded: The config, as Axolotl loads it.
        architecture_is_dense: Whether all layers of the model are planned exactly.
        quantisation: How the model's weights are stored, if that is not planned.
    """
    found = [key for key in _NEVER if loaded.get(key)]
    if loaded.get("activation_offloading") == "hidden_states":
        found.remove("activation_offloading")
    if loaded.get("gradient_checkpointing") in ("offload", "offload_disk"):
        found.append("gradient_checkpointing: offload")
    kernel = str(loaded.get("attn_implementation") or "")
    if kernel in ("xformers", "sage", "fp8", "flex_attention") or "/" in kernel:
        found.append(f"attn_implementation: {kernel}")
    sizes = [(key, loaded.get(key)) for key in _SIZES]
    found += [key for key, size in sizes if isinstance(size, int) and size > 1]
    optimizer = str(loaded.get("optimizer") or "").lower()
    other = any(word in optimizer for word in _OTHER_OPTIMIZERS)
    if other or not any(word in optimizer for word in _PLANNED_OPTIMIZERS):
        found.append(f"optimizer: {optimizer}")
    if quantisation:
        found.append(f"quantization_config: weights in {quantisation}")
    if "sgd" in optimizer and loaded.get("optim_args"):
        found.append("optim_args")
    found += _saved_modules(loaded)
    if not architecture_is_dense:
        found.append("base_model: activations of the experts")
    return found


def _saved_modules(loaded: Mapping[str, Any]) -> list[str]:
    """Modules trained in full that are neither tables nor norms, which are small."""
    modules = loaded.get("lora_modules_to_save") or () if loaded.get("adapter") else ()
    named = map(str, modules)
    return [
        f"lora_modules_to_save: {name}"
        for name in named
        if not name.endswith((*TABLES, "norm", "layernorm"))
    ]


def moves_states(keys: list[str]) -> bool:
    """Whether such keys change weights, adapters or optimizer, not only the rest."""
    passing = (
        "activation_offloading",
        "layer_offloading",
        "selective_checkpointing",
        "tiled_mlp",
        "torch_compile",
        "batch_flattening",
        "neftune_noise_alpha",
        "use_kernels",
        "liger_cross_entropy",
        "auto_find_batch_size",
        "gradient_checkpointing",
        "attn_implementation",
        "context_parallel_size",
        "sequence_parallel_degree",
        "processor_type",
        "base_model",
    )
    return any(not key.startswith(passing) for key in keys)
