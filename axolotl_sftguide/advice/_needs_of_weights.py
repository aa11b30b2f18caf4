"""Keys of adapters, quantisation and optimizers that need another key."""

from __future__ import annotations

from ..config.axolotl_keys import LORA_EMBEDDING_KERNEL, LORA_KERNELS
from ._finding import Weight
from ._need import Need
from ._view import View

AGAINST = Weight.AGAINST
_IGNORES = "Axolotl ignores it"
_WITHOUT_BETAS = (
    "adafactor",
    "sgd",
    "adagrad",
    "rmsprop",
    "lomo",
    "adalomo",
    "polora",
    "flash_sgd",
    "flash_sgdw",
)
"""Optimizers, by how their names end, that take no `adam_*` keys."""
_BETAS_TOGETHER = (
    "muon",
    "dion",
    "sinkgd",
    "optimi_adamw",
    "ao_adamw_fp8",
    "adopt_adamw",
    "adamc",
    "q_galore_adamw8bit",
    "flash_adamw",
    "flash_adam",
    "flash_lion",
)
"""Optimizers that Axolotl makes itself; it passes both betas or none."""


def _optimizer(view: View) -> str:
    return str(view.get("optimizer", "adamw_torch_fused"))


def _takes_betas(view: View) -> bool:
    name = _optimizer(view).removesuffix("_32bit").removesuffix("_8bit")
    name = name.removesuffix("_bnb")
    return not any(name == e or name.endswith(f"_{e}") for e in _WITHOUT_BETAS)


def _one_beta(view: View) -> bool:
    both = [view.get(f"adam_beta{n}") is not None for n in (1, 2)]
    return _optimizer(view) in _BETAS_TOGETHER and any(both) and not all(both)


def _is_adapter(view: View) -> bool:
    other = ("lora_r", "lora_alpha", "lora_target_modules", "lora_target_linear")
    # Of those a finding of their own tells.
    return bool(view.get("adapter") or view.bits or any(map(view.get, other)))


def _projected(view: View) -> bool:
    return any(word in _optimizer(view) for word in ("galore", "apollo"))


NEEDS = (
    Need(
        (
            "lora_dropout",
            "lora_modules_to_save",
            "lora_target_parameters",
            "lora_rank_pattern",
            "lora_alpha_pattern",
            "lora_fan_in_fan_out",
            "lora_on_cpu",
            "peft_init_lora_weights",
            "peft_layers_to_transform",
            "peft_layer_replication",
            "peft_trainable_token_indices",
            "loraplus_lr_embedding",
            *LORA_KERNELS,
            LORA_EMBEDDING_KERNEL,
        ),
        _is_adapter,
        "{key} is set, and adapter is not",
        "Axolotl ignores it and trains all weights of the model",
        "Set adapter: lora, or remove {key}",
    ),
    Need(
        ("lora_rank_pattern", "lora_alpha_pattern"),
        lambda v: not v.get("lora_model_dir") or not v.get("adapter"),
        "{key} is set with lora_model_dir",
        "the saved adapter's own settings apply",
        "Remove {key}",
    ),
    Need(
        ("bnb_config_kwargs",),
        lambda v: v.get("adapter") == "qlora" and v.get("load_in_4bit"),
        "{key} is set, and the weights are not loaded by qlora in 4 bits",
        _IGNORES,
        "Set adapter: qlora and load_in_4bit: true, or remove {key}",
        AGAINST,
    ),
    Need(
        ("model_quantization_config_kwargs",),
        lambda v: v.get("model_quantization_config"),
        "{key} is set, and model_quantization_config is not",
        _IGNORES,
        "Set model_quantization_config, or remove {key}",
        AGAINST,
    ),
    Need(
        ("adam_beta1", "adam_beta2", "adam_epsilon"),
        _takes_betas,
        "{key} is set, and the optimizer does not take it",
        "the optimizer runs with its own values",
        "Remove {key}, or set optim_args",
    ),
    Need(
        ("adam_beta1", "adam_beta2"),
        lambda v: not _one_beta(v),
        "{key} is set, and the other of adam_beta1 and adam_beta2 is not",
        "Axolotl passes both to this optimizer, or none",
        "Set adam_beta1: 0.9 and adam_beta2: 0.999, with your value in its place",
        AGAINST,
    ),
    Need(
        ("adam_beta3", "adam_epsilon2"),
        lambda v: _optimizer(v) == "came_pytorch",
        "{key} is set, and optimizer is not came_pytorch",
        _IGNORES,
        "Remove {key}",
    ),
    Need(
        ("dion_lr", "dion_momentum", "dion_rank_fraction", "dion_rank_multiple_of"),
        lambda v: _optimizer(v) == "dion",
        "{key} is set, and optimizer is not dion",
        _IGNORES,
        "Set optimizer: dion, or remove {key}",
    ),
    Need(
        ("qgalore_rank", "qgalore_scale", "qgalore_update_proj_gap"),
        lambda v: _optimizer(v) == "q_galore_adamw8bit",
        "{key} is set, and optimizer is not q_galore_adamw8bit",
        _IGNORES,
        "Set optimizer: q_galore_adamw8bit, or remove {key}",
    ),
    Need(
        ("optim_target_modules",),
        _projected,
        "{key} is set, and the optimizer projects no gradients",
        _IGNORES,
        "Set a GaLore or Apollo optimizer, or remove {key}",
    ),
    Need(
        ("jagged_restart_warmup_steps", "jagged_restart_anneal_steps"),
        lambda v: v.get("jagged_restart_steps"),
        "{key} is set, and jagged_restart_steps is not",
        "the learning rate has no restarts",
        "Set jagged_restart_steps, or remove {key}",
    ),
    Need(
        ("relora_prune_ratio", "relora_cpu_offload"),
        lambda v: v.get("relora"),
        "{key} is set, and relora is not",
        _IGNORES,
        "Set relora: true and jagged_restart_steps, or remove {key}",
    ),
    Need(
        ("lisa_n_layers", "lisa_step_interval"),
        lambda v: v.get("lisa_n_layers") and v.get("lisa_step_interval"),
        "{key} is set, and LISA needs both lisa_n_layers and lisa_step_interval",
        "all layers are trained at each step",
        "Set both, or remove {key}",
        AGAINST,
    ),
)
