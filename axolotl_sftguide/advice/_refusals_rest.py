"""Combinations of several GPUs and optimizers that Axolotl refuses."""

from __future__ import annotations

from ..config.axolotl_keys import LORA_EMBEDDING_KERNEL, LORA_KERNELS
from ._refusal import Refusal
from ._view import View

_VALIDATION = "utils/schemas/validation.py"
_CONFIG = "utils/schemas/config.py"
_BNB_8BIT = ("adamw_8bit", "adamw_bnb_8bit")


def _fsdp1(view: View) -> bool:
    return view.fsdp_is_set and view.fsdp_version != "2"


def _fsdp2(view: View) -> bool:
    return bool(view.fsdp) and view.fsdp_version == "2"


def _optimizer(view: View) -> str:
    return str(view.get("optimizer", ""))


_POLORA_RATES = ("loraplus_lr_ratio", "lr_groups", "embedding_lr", "embedding_lr_scale")
_POLORA_WEIGHTS = (
    "lora_modules_to_save",
    "unfrozen_parameters",
    "peft_use_dora",
    "peft_trainable_token_indices",
    "lisa_step_interval",
    "reward_model",
    "process_reward_model",
)


def _polora_with(view: View, keys: tuple[str, ...]) -> bool:
    return _optimizer(view) == "polora" and any(view.get(key) for key in keys)


def _of_several_lengths(view: View) -> set[str]:
    apart = set(view.schema.closed("attention_that_separates"))
    return apart - {"sdpa", "eager"}  # these take a mask instead


REFUSALS = (
    Refusal(
        "flattening-packing",
        "batch_flattening",
        f"{_VALIDATION}: check_batch_flattening_fa",
        lambda v: v.config.get("batch_flattening") is True and v.packed,
        "batch_flattening and sample_packing are both on",
        "Remove batch_flattening",
        remove=True,
    ),
    Refusal(
        "flattening-attention",
        "batch_flattening",
        f"{_VALIDATION}: check_batch_flattening_fa",
        lambda v: (
            v.config.get("batch_flattening") is True
            and v.attention not in _of_several_lengths(v)
        ),
        "batch_flattening needs an attention for rows of several lengths",
        "Set attn_implementation: flash_attention_2, or remove batch_flattening",
    ),
    Refusal(
        "deepspeed-and-fsdp",
        "deepspeed",
        f"{_VALIDATION}: check_fsdp_deepspeed",
        lambda v: v.get("deepspeed") and v.get("fsdp"),
        "deepspeed and fsdp are both set",
        "Remove one of them",
    ),
    Refusal(
        "fsdp2-4bit-loading",
        "fsdp_config.cpu_ram_efficient_loading",
        f"{_VALIDATION}: check_fsdp2_cpu_ram_efficient_loading_w_4bit",
        lambda v: (
            _fsdp2(v)
            and v.fsdp.get("cpu_ram_efficient_loading")
            and v.get("load_in_4bit")
        ),
        "FSDP2 cannot load 4-bit weights with cpu_ram_efficient_loading",
        "Set fsdp_config.cpu_ram_efficient_loading: false",
    ),
    Refusal(
        "fsdp2-8bit-optimizer",
        "optimizer",
        f"{_VALIDATION}: check_fsdp2_w_8bit_optimizer",
        lambda v: _fsdp2(v) and _optimizer(v) in _BNB_8BIT,
        "FSDP2 does not work with optimizer: {value}",
        "Set optimizer: adamw_torch_8bit",
    ),
    Refusal(
        "fsdp1-offload-8bit-optimizer",
        "optimizer",
        f"{_VALIDATION}: check_fsdp_offload_w_8bit_optimizer",
        lambda v: (
            _fsdp1(v) and v.fsdp.get("offload_params") and "8bit" in _optimizer(v)
        ),
        "FSDP1 with offload_params does not work with optimizer: {value}",
        "Set optimizer: adamw_torch_fused, or fsdp_version: 2",
    ),
    Refusal(
        "fsdp-pin-memory",
        "fsdp_config.cpu_offload_pin_memory",
        f"{_VALIDATION}: check_fsdp2_cpu_offload_pin_memory",
        lambda v: (
            v.fsdp.get("cpu_offload_pin_memory") is False
            and not (v.fsdp_version == "2" and v.fsdp.get("offload_params"))
        ),
        "cpu_offload_pin_memory: false needs fsdp_version: 2 and offload_params: true",
        "Remove it",
    ),
    Refusal(
        "fsdp2-preference-quantised",
        "rl",
        f"{_VALIDATION}: check_fsdp2_base_model_quant_rl",
        lambda v: (
            v.config.get("fsdp_version") == 2
            and v.kind in ("dpo", "kto", "orpo", "ipo")
            and v.bits
        ),
        "FSDP2 does not work with quantised weights and rl: {value}",
        "Use DeepSpeed, or set fsdp_version: 1",
    ),
    Refusal(
        "fsdp-size-wrap",
        "fsdp_config.min_num_params",
        "utils/schemas/fsdp.py: validate_size_based_wrap",
        lambda v: (
            v.fsdp.get("auto_wrap_policy") == "SIZE_BASED_WRAP"
            and v.fsdp.get("min_num_params") is None
        ),
        "auto_wrap_policy: SIZE_BASED_WRAP needs min_num_params",
        "Set fsdp_config.min_num_params",
    ),
    Refusal(
        "fsdp-falcon",
        "fsdp",
        f"{_VALIDATION}: check_falcon_fsdp",
        lambda v: "falcon" in str(v.get("base_model", "")).lower() and v.get("fsdp"),
        "Axolotl does not train Falcon models with fsdp",
        "Use DeepSpeed",
    ),
    Refusal(
        "fp32-norms",
        "fp32_norms",
        f"{_CONFIG}: check_fp32_norms",
        lambda v: v.get("fp32_norms") and not _fsdp2(v),
        "fp32_norms needs fsdp_config and fsdp_version: 2",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "fp8-config",
        "fp8_config",
        f"{_VALIDATION}: check_fp8_config",
        lambda v: v.config.get("fp8_config") is not None and not v.get("fp8"),
        "fp8_config needs fp8: true",
        "Set fp8: true, or remove fp8_config",
        remove=True,
    ),
    Refusal(
        "fp8-gather-fsdp2",
        "fp8_enable_fsdp_float8_all_gather",
        f"{_VALIDATION}: check_fp8_config",
        lambda v: v.get("fp8_enable_fsdp_float8_all_gather") and v.fsdp_version != "2",
        "fp8_enable_fsdp_float8_all_gather needs fsdp_version: 2",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "fp8-gather-recipe",
        "fp8_enable_fsdp_float8_all_gather",
        f"{_VALIDATION}: check_fp8_config",
        lambda v: (
            v.get("fp8_enable_fsdp_float8_all_gather")
            and v.mapping("fp8_config").get("recipe", "tensorwise") != "tensorwise"
        ),
        "fp8_enable_fsdp_float8_all_gather works with fp8_config.recipe: tensorwise "
        "alone",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "kernels-fsdp1",
        "lora_mlp_kernel",
        f"{_CONFIG}: check_multigpu_lora_kernels",
        lambda v: (
            v.get("fsdp_config")
            and v.fsdp_version != "2"
            and any(v.get(key) for key in (*LORA_KERNELS, LORA_EMBEDDING_KERNEL))
        ),
        "The lora_*_kernel keys do not work with FSDP1 on several GPUs",
        "Set fsdp_version: 2, or the lora_*_kernel keys to false",
    ),
    Refusal(
        "deepcompile",
        "deepcompile",
        f"{_VALIDATION}: check_deepcompile",
        lambda v: v.get("deepcompile") and not v.get("deepspeed"),
        "deepcompile needs deepspeed",
        "Set deepspeed, or remove deepcompile",
        remove=True,
    ),
    Refusal(
        "context-parallel-attention",
        "context_parallel_size",
        f"{_VALIDATION}: check_context_parallel_size",
        lambda v: (
            v.context_parallel > 1
            and not v.get("use_glm_dsa_kernels")
            and v.attention not in ("flash_attention_2",)
        ),
        "context_parallel_size above 1 needs attn_implementation: flash_attention_2",
        "Set attn_implementation: flash_attention_2",
    ),
    Refusal(
        "context-parallel-packing",
        "micro_batch_size",
        f"{_VALIDATION}: check_context_parallel_size",
        lambda v: (
            v.context_parallel > 1
            and not v.get("use_glm_dsa_kernels")
            and v.packed
            and (v.number("micro_batch_size", 1) or 1) > 1
        ),
        "context_parallel_size with sample_packing needs micro_batch_size: 1",
        "Set micro_batch_size: 1",
    ),
    Refusal(
        "muon-parallel",
        "optimizer",
        f"{_VALIDATION}: check_muon_deepspeed_fsdp",
        lambda v: _optimizer(v) == "muon" and (v.get("deepspeed") or _fsdp1(v)),
        "optimizer: muon works with FSDP2 alone, not with DeepSpeed or FSDP1",
        "Set fsdp_version: 2, or another optimizer",
    ),
    Refusal(
        "flash-optimizer-parallel",
        "optimizer",
        f"{_VALIDATION}: check_flashoptim_deepspeed_fsdp",
        lambda v: (
            _optimizer(v).startswith("flash_") and (v.get("deepspeed") or _fsdp1(v))
        ),
        "optimizer: {value} works with FSDP2 alone, not with DeepSpeed or FSDP1",
        "Set fsdp_version: 2, or another optimizer",
    ),
    Refusal(
        "polora-adapter",
        "optimizer",
        f"{_VALIDATION}: check_polora",
        lambda v: (
            _optimizer(v) == "polora" and v.get("adapter") not in ("lora", "qlora")
        ),
        "optimizer: polora needs an adapter",
        "Set adapter: lora, or another optimizer",
    ),
    Refusal(
        "polora-parallel",
        "optimizer",
        f"{_VALIDATION}: check_polora",
        lambda v: (
            _optimizer(v) == "polora"
            and (
                v.get("deepspeed")
                or (v.number("tensor_parallel_size", 1) or 1) > 1
                or _fsdp1(v)
            )
        ),
        "optimizer: polora does not work with DeepSpeed, FSDP1 or tensor parallelism",
        "Set fsdp_version: 2, or another optimizer",
    ),
    Refusal(
        "polora-other-weights",
        "optimizer",
        f"{_VALIDATION}: check_polora",
        lambda v: _polora_with(v, _POLORA_WEIGHTS),
        "optimizer: polora trains LoRA matrices alone, and not what "
        f"{', '.join(_POLORA_WEIGHTS[:-1])} or {_POLORA_WEIGHTS[-1]} add",
        "Remove these keys, or set another optimizer",
    ),
    Refusal(
        "polora-rates",
        "optimizer",
        f"{_VALIDATION}: check_polora",
        lambda v: _polora_with(v, _POLORA_RATES),
        f"optimizer: polora takes no {', '.join(_POLORA_RATES[:-1])} or "
        f"{_POLORA_RATES[-1]}",
        "Remove these keys, or set another optimizer",
    ),
    Refusal(
        "galore-orig-params",
        "fsdp_config.use_orig_params",
        f"{_VALIDATION}: check_qgalore",
        lambda v: (
            _optimizer(v) == "q_galore_adamw8bit"
            and v.fsdp_is_set
            and v.fsdp_version == "2"
            and v.fsdp.get("use_orig_params") is not True
        ),
        "optimizer: q_galore_adamw8bit with FSDP2 needs use_orig_params: true",
        "Set fsdp_config.use_orig_params: true",
    ),
    Refusal(
        "galore-adapter",
        "optimizer",
        f"{_VALIDATION}: check_qgalore",
        lambda v: (
            _optimizer(v) == "q_galore_adamw8bit"
            and (v.get("adapter") or v.get("deepspeed") or _fsdp1(v))
        ),
        "optimizer: q_galore_adamw8bit trains whole models, without DeepSpeed or FSDP1",
        "Remove adapter, or set another optimizer",
    ),
    Refusal(
        "relora-restart",
        "jagged_restart_steps",
        f"{_VALIDATION}: check_relora",
        lambda v: v.get("relora") and not v.get("jagged_restart_steps"),
        "relora needs jagged_restart_steps",
        "Set jagged_restart_steps",
    ),
    Refusal(
        "relora-combination",
        "relora",
        f"{_VALIDATION}: check_relora",
        lambda v: (
            v.get("relora")
            and (
                v.get("adapter") not in ("lora", "qlora", "mora")
                or v.fsdp_is_set
                or v.get("deepspeed")
                or v.get("lr_scheduler") == "one_cycle"
            )
        ),
        "relora needs an adapter, and no FSDP, DeepSpeed or lr_scheduler: one_cycle",
        "Remove relora, or what it does not work with",
    ),
    Refusal(
        "mxfp4-loading",
        "fsdp_config.cpu_ram_efficient_loading",
        f"{_VALIDATION}: check_gpt_oss_fsdp_loading",
        lambda v: (
            v.get("model_quantization_config") == "Mxfp4Config"
            and v.fsdp.get("cpu_ram_efficient_loading") is True
        ),
        "cpu_ram_efficient_loading does not work with Mxfp4Config",
        "Set fsdp_config.cpu_ram_efficient_loading: false",
    ),
)

REMOVED = {
    "max_packed_sequence_len": "set sequence_len and sample_packing: true instead",
    "rope_scaling": "move it to overrides_of_model_config.rope_scaling",
    "dpo_use_logits_to_keep": "remove it",
    "dpo_generate_during_eval": "remove it",
    "dpo_norm_loss": "remove it",
    "rpo_alpha": "remove it, and set dpo_loss_type and dpo_loss_weights",
    "s2_attention": "remove it",
    "flash_attn_rms_norm": "remove it, or use liger_rms_norm with the Liger plugin",
    "unsloth_cross_entropy_loss": "remove it, or set chunked_cross_entropy: true",
    "unsloth_lora_mlp": "set lora_mlp_kernel: true instead",
    "unsloth_lora_qkv": "set lora_qkv_kernel: true instead",
    "unsloth_lora_o": "set lora_o_kernel: true instead",
    "unsloth_rms_norm": "remove it, or use liger_rms_norm with the Liger plugin",
    "unsloth_rope": "remove it, or use liger_rope with the Liger plugin",
    "save_safetensors": "remove it: checkpoints are always safetensors",
}
"""Keys that Axolotl 0.19.0 refuses with a value, and what to write instead."""

REFUSED_IF_SET = (
    "dpo_use_logits_to_keep",
    "dpo_generate_during_eval",
    "dpo_norm_loss",
    "rpo_alpha",
)
"""Those that are refused with any value, `false` included."""
