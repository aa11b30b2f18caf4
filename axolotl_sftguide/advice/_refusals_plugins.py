"""Combinations with keys of Axolotl's plugins that are refused."""

from __future__ import annotations

from collections.abc import Callable

from ._refusal import Refusal
from ._view import View

_LIGER = "integrations/liger/args.py"
_KERNELS = "integrations/kernels/args.py"
_SWANLAB = "integrations/swanlab/args.py"
_LORA_KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel")
_BACKENDS = ("scattermoe", "sonicmoe", "eager", "builtin")
_SWANLAB_MODES = ("cloud", "local", "offline", "disabled")


def _with(plugin: str, holds: Callable[[View], object]) -> Callable[[View], object]:
    """The condition, if a plugin of Axolotl is listed."""
    return lambda v: plugin in v.schema.own_plugins(v.plugins) and holds(v)


def _backend(view: View) -> str:
    return str(view.get("expert_backend", "")).lower()


def _both_backends(view: View) -> bool:
    flags = {
        name for name in ("scattermoe", "sonicmoe") if view.get(f"use_{name}") is True
    }
    chosen = _backend(view)
    return len(flags | ({chosen} if chosen in _BACKENDS else set())) > 1


def _several_gpus(view: View, key: str) -> bool:
    return (view.number(key, 1) or 1) > 1


def _not_one_of(view: View, key: str, known: tuple[str, ...]) -> bool:
    value = view.get(key)
    return value is not None and str(value).lower() not in known


def _no_project(view: View) -> bool:
    project = view.get("swanlab_project")
    blank = isinstance(project, str) and not project.strip()
    return blank or bool(view.get("use_swanlab") and not project)


def _needless_start(view: View) -> bool:
    start = view.get("nvfp4_merge_aware_start_step")
    return start is not None and not view.get("nvfp4_merge_aware")


def _no_merge(view: View) -> bool:
    sonic = view.get("use_sonicmoe") or _backend(view) == "sonicmoe"
    fused = any(view.get(key) is True for key in _LORA_KERNELS)
    right = sonic and view.get("adapter") == "lora" and not fused
    return bool(view.get("nvfp4_merge_aware")) and not right


def _mask_ratios(view: View) -> bool:
    block = view.mapping("diffusion")
    least, most = block.get("min_mask_ratio", 0.1), block.get("max_mask_ratio", 0.9)
    return float(least) > float(most)


REFUSALS = (
    Refusal(
        "liger-norm-tensor-parallel",
        "liger_rms_norm",
        f"{_LIGER}: check_liger_rms_norm_tensor_parallel",
        _with(
            "liger",
            lambda v: (
                v.get("liger_rms_norm") and _several_gpus(v, "tensor_parallel_size")
            ),
        ),
        "liger_rms_norm does not work with tensor_parallel_size above 1",
        "Set liger_rms_norm: false",
    ),
    Refusal(
        "liger-loss-tensor-parallel",
        "liger_fused_linear_cross_entropy",
        f"{_LIGER}: check_tensor_parallel_size_liger_fused_linear_cross_entropy",
        _with(
            "liger",
            lambda v: (
                v.get("liger_fused_linear_cross_entropy")
                and _several_gpus(v, "tensor_parallel_size")
            ),
        ),
        "liger_fused_linear_cross_entropy does not work with tensor_parallel_size "
        "above 1",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "expert-backends-many",
        "use_scattermoe",
        f"{_KERNELS}: check_mutually_exclusive",
        _with("kernels", _both_backends),
        "use_scattermoe, use_sonicmoe and expert_backend choose several kernels for "
        "the experts",
        "Set one of them",
    ),
    Refusal(
        "expert-backend-unknown",
        "expert_backend",
        f"{_KERNELS}: _canonicalize_expert_backend",
        _with("kernels", lambda v: _not_one_of(v, "expert_backend", _BACKENDS)),
        f"expert_backend must be one of {', '.join(_BACKENDS)}, and is {{value}}",
        "Set expert_backend: scattermoe",
    ),
    Refusal(
        "experts-grouped-backend",
        "moe_grouped_backend",
        f"{_KERNELS}: check_moe_grouped_backend",
        _with(
            "kernels",
            lambda v: _not_one_of(
                v, "moe_grouped_backend", ("auto", "marlin", "cutlass", "deepgemm")
            ),
        ),
        "moe_grouped_backend must be auto, marlin, cutlass or deepgemm, and is {value}",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "experts-grouped-fp4",
        "dsv4_fp4_grouped_mode",
        f"{_KERNELS}: check_dsv4_fp4_grouped_mode",
        _with("kernels", lambda v: _not_one_of(v, "dsv4_fp4_grouped_mode", ("nvfp4",))),
        "dsv4_fp4_grouped_mode must be nvfp4, and is {value}",
        "Set dsv4_fp4_grouped_mode: nvfp4, or remove it",
        remove=True,
    ),
    Refusal(
        "rest-of-experts-quantised",
        "nonexpert_quantization",
        f"{_KERNELS}: check_nonexpert_quantization",
        _with(
            "kernels",
            lambda v: _not_one_of(
                v,
                "nonexpert_quantization",
                ("none", "bf16", "fp8", "fp8_blockwise", "nf4", "nvfp4"),
            ),
        ),
        "nonexpert_quantization must be none, bf16, fp8, fp8_blockwise, nf4 or nvfp4, "
        "and is {value}",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "nvfp4-merge-start",
        "nvfp4_merge_aware_start_step",
        f"{_KERNELS}: check_nvfp4_merge_aware",
        _with("kernels", _needless_start),
        "nvfp4_merge_aware_start_step needs nvfp4_merge_aware: true",
        "Remove it",
        remove=True,
    ),
    Refusal(
        "nvfp4-merge",
        "nvfp4_merge_aware",
        f"{_KERNELS}: check_nvfp4_merge_aware",
        _with("kernels", _no_merge),
        "nvfp4_merge_aware needs expert_backend: sonicmoe and adapter: lora, without "
        "the lora_*_kernel keys",
        "Remove nvfp4_merge_aware",
        remove=True,
    ),
    Refusal(
        "dsv4-attention-adapter",
        "lora_target_modules",
        f"{_KERNELS}: check_dsv4_attention_lora_unsupported",
        _with(
            "kernels",
            lambda v: (
                v.get("use_dsv4_kernels")
                and (v.get("lora_target_modules") or v.get("lora_target_linear"))
                and not v.get("lora_exclude_modules")
            ),
        ),
        "use_dsv4_kernels takes adapters on the experts alone, or needs "
        "lora_exclude_modules",
        "Set lora_target_parameters instead of lora_target_modules and "
        "lora_target_linear",
    ),
    Refusal(
        "swanlab-project",
        "swanlab_project",
        f"{_SWANLAB}: validate_swanlab_enabled_requires_project",
        _with("swanlab", _no_project),
        "swanlab_project is empty, and use_swanlab: true needs it",
        "Set swanlab_project",
    ),
    Refusal(
        "swanlab-mode",
        "swanlab_mode",
        f"{_SWANLAB}: validate_swanlab_mode",
        _with(
            "swanlab",
            lambda v: v.get("swanlab_mode") not in (None, *_SWANLAB_MODES),
        ),
        f"swanlab_mode must be one of {', '.join(_SWANLAB_MODES)}, and is {{value}}",
        "Set swanlab_mode: cloud",
    ),
    Refusal(
        "spectrum-fsdp",
        "fsdp_config.use_orig_params",
        "integrations/spectrum/args.py: check_fsdp_use_orig_params",
        _with(
            "spectrum",
            lambda v: (
                v.get("fsdp")
                and v.get("fsdp_config")
                and not v.fsdp.get("use_orig_params")
            ),
        ),
        "SpectrumPlugin with fsdp needs use_orig_params: true",
        "Set fsdp_config.use_orig_params: true",
    ),
    Refusal(
        "mask-ratios",
        "diffusion.min_mask_ratio",
        "integrations/diffusion/args.py: _validate_mask_ratios",
        _with("diffusion", _mask_ratios),
        "diffusion.min_mask_ratio is larger than diffusion.max_mask_ratio",
        "Exchange them",
    ),
    Refusal(
        "nemo-gym-parts",
        "nemo_gym_datasets",
        "integrations/nemo_gym/args.py: check_nemo_gym_config",
        _with(
            "nemo_gym",
            lambda v: (
                v.get("nemo_gym_enabled")
                and (
                    not v.get("nemo_gym_datasets")
                    or not (
                        v.get("nemo_gym_config_paths")
                        or v.config.get("nemo_gym_auto_start") is False
                    )
                )
            ),
        ),
        "nemo_gym_enabled needs nemo_gym_datasets, and nemo_gym_config_paths or "
        "nemo_gym_auto_start: false",
        "Set them",
    ),
    Refusal(
        "expert-parallel-size",
        "expert_parallel_size",
        "integrations/expert_parallel/args.py: _validate",
        _with(
            "expert_parallel",
            lambda v: (
                min(
                    v.number("expert_parallel_size", 1) or 0,
                    v.number("expert_parallel_token_capacity", 1) or 0,
                )
                < 1
            ),
        ),
        "expert_parallel_size and expert_parallel_token_capacity must be at least 1",
        "Set expert_parallel_size: 1 for none, and remove the capacity for no limit",
    ),
)
