"""Combinations of model, adapter, precision and kernels that Axolotl refuses."""

from __future__ import annotations

import re

from ._refusal import Refusal
from ._view import View

_VALIDATION = "utils/schemas/validation.py"
_CONFIG = "utils/schemas/config.py"
_PEFT = "utils/schemas/peft.py"
_FUSED_LOSSES = (
    "cut_cross_entropy",
    "chunked_cross_entropy",
    "liger_cross_entropy",
    "liger_fused_linear_cross_entropy",
)
_LORA_KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")


def _patterns_that_are_none(view: View) -> bool:
    targets = view.get("lora_target_modules")
    for name in targets if isinstance(targets, list) else ():
        try:
            re.compile(name if isinstance(name, str) else "")
        except re.error:
            return True
    return False


def _kernels(view: View) -> bool:
    return any(view.get(key) for key in _LORA_KERNELS)


def _in_lora(view: View) -> bool:
    return view.get("adapter") in ("lora", "qlora")


def _quantised(view: View) -> bool:
    return bool(view.get("load_in_4bit") or view.get("load_in_8bit"))


def _liger(view: View) -> bool:
    return "liger" in view.schema.own_plugins(view.plugins)


def _cut_plugin(view: View) -> bool:
    return "cut_cross_entropy" in view.schema.own_plugins(view.plugins)


_OF_OTHER_TOKENIZERS = (
    "chat_template",
    "special_tokens",
    "tokens",
    "added_tokens_overrides",
    "processor_kwargs",
)


def _unknown_compile_options(view: View) -> bool:
    known = view.schema.closed("compile_options")
    return bool(known and {*view.mapping("torch_compile_options")} - {*known})


_PRODUCTS = ("aten::mm", "aten::addmm", "aten::matmul", "aten::bmm")


def _saves_products(view: View) -> bool:
    saved = view.mapping("selective_checkpointing").get("save") or ()
    return any(
        each != "attention" and any(each in product for product in _PRODUCTS)
        for each in saved
    )


REFUSALS = (
    Refusal(
        "quantised-without-adapter",
        "adapter",
        f"{_PEFT}: validate_adapter",
        lambda v: not v.get("adapter") and _quantised(v),
        "load_in_4bit and load_in_8bit need an adapter, and adapter is not set",
        "Set adapter: qlora for 4 bits or adapter: lora for 8 bits, or remove them to "
        "train the whole model",
    ),
    Refusal(
        "qlora-4bit",
        "load_in_4bit",
        f"{_PEFT}: validate_qlora",
        lambda v: (
            v.get("adapter") == "qlora"
            and not v.get("load_in_4bit")
            and not v.get("merge_lora")
        ),
        "adapter: qlora needs load_in_4bit: true",
        "Set load_in_4bit: true, or adapter: lora",
    ),
    Refusal(
        "qlora-8bit",
        "load_in_8bit",
        f"{_PEFT}: validate_qlora",
        lambda v: v.get("adapter") == "qlora" and v.get("load_in_8bit"),
        "adapter: qlora does not work with load_in_8bit",
        "Remove load_in_8bit and set load_in_4bit: true, or set adapter: lora",
    ),
    Refusal(
        "qlora-gptq",
        "gptq",
        f"{_PEFT}: validate_qlora",
        lambda v: v.get("adapter") == "qlora" and v.get("gptq"),
        "adapter: qlora does not work with gptq",
        "Set adapter: lora",
    ),
    Refusal(
        "target-pattern",
        "lora_target_modules",
        f"{_CONFIG}: check_lora_target_modules_regex",
        _patterns_that_are_none,
        "An entry of lora_target_modules is no valid regular expression",
        "Write the layers' names, such as q_proj",
    ),
    Refusal(
        "target-parameters-dropout",
        "lora_dropout",
        f"{_PEFT}: validate_lora_target_parameters_dropout",
        lambda v: v.get("lora_target_parameters") and v.get("lora_dropout"),
        "lora_target_parameters needs lora_dropout: 0",
        "Set lora_dropout: 0",
    ),
    Refusal(
        "lora-8bit-kernels",
        "load_in_8bit",
        f"{_VALIDATION}: check_lora_kernels_8bit",
        lambda v: _kernels(v) and v.get("adapter") == "lora" and v.get("load_in_8bit"),
        "The lora_*_kernel keys do not work with 8-bit weights",
        "Set the lora_*_kernel keys to false, or use adapter: qlora with load_in_4bit",
    ),
    Refusal(
        "kernels-remote-code",
        "trust_remote_code",
        f"{_VALIDATION}: check_lora_kernels_trust_remote_code",
        lambda v: _kernels(v) and v.get("trust_remote_code"),
        "The lora_*_kernel keys do not work with trust_remote_code",
        "Set the lora_*_kernel keys to false, or remove trust_remote_code",
    ),
    Refusal(
        "fused-mlp-adapter",
        "flash_attn_fuse_mlp",
        f"{_VALIDATION}: check_fused_lora",
        lambda v: _in_lora(v) and v.get("flash_attn_fuse_mlp"),
        "flash_attn_fuse_mlp does not work with an adapter",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "onebit-adapter",
        "use_onebitllms",
        f"{_VALIDATION}: check_onebitllms_lora",
        lambda v: _in_lora(v) and v.get("use_onebitllms"),
        "use_onebitllms does not work with an adapter",
        "Remove adapter, or use_onebitllms",
    ),
    Refusal(
        "rate-groups-loraplus",
        "lr_groups",
        f"{_VALIDATION}: check_lr_groups",
        lambda v: v.get("lr_groups") and v.get("loraplus_lr_ratio"),
        "lr_groups and loraplus_lr_ratio are both set",
        "Remove one of them",
    ),
    Refusal(
        "frozen-and-layers",
        "unfrozen_parameters",
        f"{_VALIDATION}: check_frozen",
        lambda v: (
            v.get("adapter")
            and v.get("peft_layers_to_transform")
            and v.get("unfrozen_parameters")
        ),
        "unfrozen_parameters does not work with peft_layers_to_transform",
        "Remove one of them",
    ),
    Refusal(
        "layers-pattern",
        "peft_layers_pattern",
        f"{_VALIDATION}: check_peft_layers_pattern",
        lambda v: (
            v.get("peft_layers_pattern") and not v.get("peft_layers_to_transform")
        ),
        "peft_layers_pattern needs peft_layers_to_transform",
        "Set peft_layers_to_transform: a list of layer numbers",
    ),
    Refusal(
        "attention-twice",
        "attn_implementation",
        f"{_CONFIG}: normalize_attn_implementation",
        lambda v: v.get("attn_implementation") and v.attention_flags_on,
        "attn_implementation and an older key that chooses an attention are both set",
        "Remove the older key: attn_implementation alone is enough",
    ),
    Refusal(
        "softmax-scaling-flex",
        "scaling_softmax",
        f"{_VALIDATION}: check_scaling_softmax_requires_flex",
        lambda v: v.get("scaling_softmax") and v.attention != "flex_attention",
        "scaling_softmax needs attn_implementation: flex_attention",
        "Set attn_implementation: flex_attention",
    ),
    Refusal(
        "gemma4-hybrid-attention",
        "gemma4_hybrid_attn_impl",
        f"{_CONFIG}: normalize_attn_implementation",
        lambda v: (
            v.get("gemma4_hybrid_attn_impl")
            and v.get("attn_implementation", "flash_attention_2") != "flash_attention_2"
        ),
        "gemma4_hybrid_attn_impl needs attn_implementation: flash_attention_2",
        "Set attn_implementation: flash_attention_2",
    ),
    Refusal(
        "fused-losses-many",
        "cut_cross_entropy",
        f"{_VALIDATION}: check_cross_entropy_conflicts",
        lambda v: sum(bool(v.get(key)) for key in _FUSED_LOSSES) > 1,
        f"Only one of {', '.join(_FUSED_LOSSES)} may be on",
        "Keep one of them",
    ),
    Refusal(
        "cut-loss-precision",
        "cut_cross_entropy",
        "integrations/cut_cross_entropy/args.py: check_dtype_is_half",
        lambda v: (
            _cut_plugin(v)
            and v.get("cut_cross_entropy")
            and not (v.get("bf16") or v.get("fp16"))
        ),
        "cut_cross_entropy needs bf16 or fp16 to be set",
        "Set bf16: true",
    ),
    Refusal(
        "cut-loss-chunked",
        "chunked_cross_entropy",
        "integrations/cut_cross_entropy/args.py: check_chunked_cross_entropy_not_set",
        lambda v: _cut_plugin(v) and v.get("chunked_cross_entropy"),
        "chunked_cross_entropy does not work beside the plugin CutCrossEntropyPlugin",
        "Remove chunked_cross_entropy",
        remove=True,
    ),
    Refusal(
        "liger-glu-twice",
        "liger_swiglu",
        "integrations/liger/args.py: check_deprecated_swiglu",
        lambda v: (
            _liger(v)
            and v.config.get("liger_swiglu") is not None
            and v.config.get("liger_glu_activation") is not None
        ),
        "liger_swiglu is the old name of liger_glu_activation, and both are set",
        "Remove liger_swiglu",
        remove=True,
    ),
    Refusal(
        "liger-glu-tiled",
        "liger_glu_activation",
        "integrations/liger/args.py: check_tiled_mlp_conflict",
        lambda v: (
            _liger(v)
            and v.config.get("liger_glu_activation") is True
            and v.config.get("tiled_mlp") is True
            and not v.get("tiled_mlp_use_original_mlp")
        ),
        "liger_glu_activation and tiled_mlp both replace the MLP",
        "Set tiled_mlp_use_original_mlp: true, or remove one of them",
    ),
    Refusal(
        "liger-token-scaling",
        "liger_use_token_scaling",
        "integrations/liger/args.py: check_liger_use_token_scaling_flce",
        lambda v: (
            _liger(v)
            and v.get("liger_use_token_scaling")
            and not v.get("liger_fused_linear_cross_entropy")
        ),
        "liger_use_token_scaling needs liger_fused_linear_cross_entropy: true",
        "Set liger_fused_linear_cross_entropy: true",
    ),
    Refusal(
        "offloading-without-checkpointing",
        "activation_offloading",
        f"{_VALIDATION}: check_activation_offloading_wo_gc",
        lambda v: (
            v.get("activation_offloading") and not v.get("gradient_checkpointing")
        ),
        "activation_offloading needs gradient_checkpointing: true",
        "Set gradient_checkpointing: true",
    ),
    Refusal(
        "selective-without-checkpointing",
        "selective_checkpointing",
        f"{_VALIDATION}: check_selective_checkpointing",
        lambda v: (
            v.get("selective_checkpointing") and not v.get("gradient_checkpointing")
        ),
        "selective_checkpointing needs gradient_checkpointing: true",
        "Set gradient_checkpointing: true",
    ),
    Refusal(
        "selective-reentrant",
        "gradient_checkpointing_kwargs",
        f"{_VALIDATION}: check_selective_checkpointing",
        lambda v: v.get("selective_checkpointing") and v.reentrant,
        "selective_checkpointing needs use_reentrant: false",
        "Set gradient_checkpointing_kwargs: {{use_reentrant: false}}",
    ),
    Refusal(
        "selective-offloading",
        "activation_offloading",
        f"{_VALIDATION}: check_selective_checkpointing",
        lambda v: (
            v.get("selective_checkpointing")
            and v.get("activation_offloading")
            and v.get("activation_offloading") != "hidden_states"
        ),
        "selective_checkpointing works only with activation_offloading: hidden_states",
        "Set activation_offloading: hidden_states, or remove it",
    ),
    Refusal(
        "unfrozen-reentrant",
        "gradient_checkpointing_kwargs",
        f"{_VALIDATION}: check_use_reentrant_mismatch",
        lambda v: v.get("unfrozen_parameters") and v.reentrant,
        "unfrozen_parameters needs use_reentrant: false",
        "Set gradient_checkpointing_kwargs: {{use_reentrant: false}}",
    ),
    Refusal(
        "compile-options",
        "torch_compile_options",
        f"{_CONFIG}: check_torch_compile_options_requires_compile",
        lambda v: (
            v.config.get("torch_compile_options") is not None
            and not v.get("torch_compile")
        ),
        "torch_compile_options needs torch_compile: true",
        "Set torch_compile: true",
    ),
    Refusal(
        "better-transformer-amp",
        "flash_optimum",
        f"{_VALIDATION}: check_better_transformers",
        lambda v: (
            v.config.get("flash_optimum") is True
            and (v.get("fp16") or v.get("bf16", "auto"))
        ),
        "flash_optimum does not work with bf16 or fp16",
        "Remove flash_optimum, and set attn_implementation: sdpa",
        remove=True,
    ),
    Refusal(
        "gptq-revision",
        "revision_of_model",
        f"{_VALIDATION}: check_gptq_w_revision",
        lambda v: v.get("gptq") and v.get("revision_of_model"),
        "revision_of_model does not work with gptq",
        "Download that revision, and set base_model to its folder",
    ),
    Refusal(
        "two-quantisations",
        "model_quantization_config",
        f"{_VALIDATION}: check_model_quantization_config_vs_bnb",
        lambda v: v.get("model_quantization_config") and _quantised(v),
        "model_quantization_config and load_in_4bit or load_in_8bit are both set",
        "Remove one of them",
    ),
    Refusal(
        "memory-limits-twice",
        "gpu_memory_limit",
        f"{_VALIDATION}: check_mem_mismatch",
        lambda v: (
            v.config.get("max_memory") is not None
            and v.config.get("gpu_memory_limit") is not None
        ),
        "max_memory and gpu_memory_limit are both set",
        "Remove one of them",
    ),
    Refusal(
        "mpt-checkpointing",
        "gradient_checkpointing",
        f"{_VALIDATION}: check_mpt_checkpointing",
        lambda v: (
            "mpt" in str(v.get("base_model", "")).lower()
            and v.get("gradient_checkpointing")
        ),
        "MPT models have no gradient checkpointing",
        "Set gradient_checkpointing: false",
    ),
    Refusal(
        "moe-quantised-targets",
        "lora_target_linear",
        f"{_CONFIG}: check_quantize_moe_experts",
        lambda v: v.get("quantize_moe_experts") and v.get("lora_target_linear"),
        "lora_target_linear does not work with quantize_moe_experts",
        "Set lora_target_parameters to the experts' weights",
    ),
    Refusal(
        "moe-quantised-adapter",
        "quantize_moe_experts",
        f"{_CONFIG}: check_quantize_moe_experts",
        lambda v: v.get("quantize_moe_experts") and not (_in_lora(v) and _quantised(v)),
        "quantize_moe_experts needs adapter: lora or qlora, and load_in_4bit or "
        "load_in_8bit",
        "Set adapter: qlora and load_in_4bit: true",
    ),
    Refusal(
        "qat-quantised",
        "qat",
        f"{_CONFIG}: check_qat_config",
        lambda v: v.get("qat") and (v.get("peft") or _quantised(v)),
        "qat does not work with peft, load_in_4bit or load_in_8bit",
        "Remove them",
    ),
    Refusal(
        "per-layer-offload",
        "ple_cpu_offload",
        f"{_CONFIG}: check_ple_cpu_offload",
        lambda v: (
            v.get("ple_cpu_offload")
            and (
                v.get("deepspeed")
                or v.fsdp_is_set
                or (v.get("adapter"), v.bits) not in (("qlora", 4), ("lora", 8))
            )
        ),
        "ple_cpu_offload needs 4-bit qlora or 8-bit lora, without FSDP or DeepSpeed",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "qat-ternary",
        "qat.activation_dtype",
        f"{_CONFIG}: check_qat_config",
        lambda v: (
            v.mapping("qat").get("weight_dtype") == "ternary"
            and v.mapping("qat").get("activation_dtype") not in (None, "int8")
        ),
        "Ternary weights in qat work with activation_dtype: int8 alone",
        "Set qat.activation_dtype: int8",
    ),
    Refusal(
        "compile-option-unknown",
        "torch_compile_options",
        f"{_CONFIG}: validate_torch_compile_options",
        _unknown_compile_options,
        "torch_compile_options has an option that Axolotl does not allow",
        "Set only options that docs.axolotl.ai/docs/config-reference.html lists",
    ),
    Refusal(
        "processor-kwargs-reserved",
        "processor_kwargs",
        "utils/schemas/model.py: reject_reserved_processor_kwargs",
        lambda v: {"revision", "trust_remote_code"} & {*v.mapping("processor_kwargs")},
        "processor_kwargs takes neither revision nor trust_remote_code",
        "Set revision_of_model or trust_remote_code instead",
    ),
    Refusal(
        "mistral-common-tokenizer",
        "tokenizer_use_mistral_common",
        f"{_VALIDATION}: check_mistral_common_incompatible_options",
        lambda v: (
            v.get("tokenizer_use_mistral_common")
            and any(v.get(key) for key in _OF_OTHER_TOKENIZERS)
        ),
        "tokenizer_use_mistral_common does not work with "
        f"{', '.join(_OF_OTHER_TOKENIZERS[:-1])} or {_OF_OTHER_TOKENIZERS[-1]}",
        "Remove tokenizer_use_mistral_common, or those keys",
    ),
    Refusal(
        "attention-of-later-transformers",
        "attn_implementation",
        f"{_CONFIG}: check_flash_attention_torch_preflight",
        lambda v: v.attention == "flash_attention_torch",
        "The transformers that Axolotl requires has no flash_attention_torch yet",
        "Set attn_implementation: flash_attention_2",
    ),
    Refusal(
        "selective-matmul-adapter",
        "selective_checkpointing",
        f"{_VALIDATION}: check_selective_checkpointing",
        lambda v: v.get("adapter") and _saves_products(v),
        "selective_checkpointing cannot save matrix products of layers with adapters",
        "Set selective_checkpointing: {{save: [attention]}}",
    ),
)
