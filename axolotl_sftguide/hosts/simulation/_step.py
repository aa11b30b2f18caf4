"""Makes a model of fake tensors and goes through one training step."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ...config.as_loaded import as_loaded
from ...errors import PlanError
from ...planning import Linear, optimizer_bytes, quantised_bytes, read_numbers
from ._peak import PeakBytes
from ._weights import quantise

_NOT_SIMULATED = (
    "lora_mlp_kernel",
    "lora_qkv_kernel",
    "lora_o_kernel",
    "liger_rms_norm",
    "liger_glu_activation",
    "liger_layer_norm",
    "liger_rope",
    "liger_cross_entropy",
    "liger_fused_linear_cross_entropy",
    "chunked_cross_entropy",
    "cut_cross_entropy",
    "activation_offloading",
    "layer_offloading",
    "selective_checkpointing",
    "tiled_mlp",
    "torch_compile",
    "fsdp_config",
    "fsdp",
    "deepspeed",
    "rl",
)
"""Keys that change the memory of a step, and do not change the simulation."""


_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")


@dataclass(frozen=True, slots=True)
class Simulated:
    """The memory of one training step on one GPU, without CUDA's own."""

    weights_bytes: int
    """All parameters of the model and its adapters."""
    step_bytes: int
    """The largest sum of all tensors during the forward and backward pass."""
    optimizer_bytes: int
    """The optimizer's states, by formula."""

    @property
    def peak_bytes(self) -> int:
        """The tensors of a step and the optimizer's states."""
        return self.step_bytes + self.optimizer_bytes


def not_simulated(config: Mapping[str, Any]) -> list[str]:
    """The keys of a config that change its memory and are not simulated."""
    loaded = as_loaded(config)
    return [key for key in _NOT_SIMULATED if loaded.get(key)]


def simulate(config: Mapping[str, Any], model_config: Mapping[str, Any]) -> Simulated:
    """Go through one training step on fake tensors, at full size.

    The model is transformers' own, with peft's adapters, gradient checkpointing and
    autocast as in a training; no memory is needed and no number is computed. Kernels of
    Axolotl and Liger are left out.

    Args:
        config: Axolotl's config, before its own validation.
        model_config: The model's `config.json`.

    Raises:
        PlanError: If transformers has no such model, or a step of it needs values.
    """
    loaded = as_loaded(config)
    number = read_numbers(config)
    half = any(loaded.get(key) for key in ("bf16", "bfloat16", "fp16", "float16"))
    dtype = torch.bfloat16 if half else torch.float32
    logging.getLogger("transformers").setLevel(logging.ERROR)
    memory = PeakBytes()
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), memory, _on_fakes():
            model = _model(loaded, model_config, dtype, number["lora_r"])
            weights = memory.now
            memory.peak = memory.now
            _step(model, loaded, number, half)
    except PlanError:
        raise
    except Exception as error:  # from any model's own code
        name = loaded.get("base_model") or model_config.get("model_type")
        line = " ".join(str(error).split())[:200]
        raise PlanError(
            f"{name}: cannot be simulated ({type(error).__name__}: {line})"
        ) from None
    trained = [p for p in model.parameters() if p.requires_grad]
    width = max((p.element_size() for p in trained), default=4)
    states = optimizer_bytes(
        [p.numel() for p in trained], str(loaded.get("optimizer")), width
    )
    return Simulated(weights, memory.peak, states)


def _model(
    loaded: Mapping[str, Any], model_config: Mapping[str, Any], dtype: Any, rank: int
) -> Any:
    """The model, with quantised weights, adapters and checkpointing as configured."""
    from transformers import AutoConfig, AutoModelForCausalLM

    keys = {k: v for k, v in model_config.items() if k not in ("torch_dtype", "dtype")}
    keys.pop("quantization_config", None)
    try:
        made = AutoConfig.for_model(**{**keys, "use_cache": False})
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError(f"transformers has no such model ({error})") from None
    made = made.get_text_config()
    if any(getattr(made, key, None) for key in _EXPERTS):
        made._experts_implementation = "grouped_mm"  # others need the router's numbers
    eager = loaded.get("attn_implementation") == "eager"
    model: Any = None
    for attention in ["eager"] if eager else ["sdpa", "eager"]:
        with contextlib.suppress(ValueError):  # some models have no sdpa
            model = AutoModelForCausalLM.from_config(
                made, attn_implementation=attention, dtype=dtype
            )
            break
    if model is None:
        raise PlanError(f"transformers makes no model of type {made.model_type}")
    model.train()
    bits = (
        4 if loaded.get("load_in_4bit") else 8 if loaded.get("load_in_8bit") else None
    )
    if bits:
        quantise(model, lambda layer: _quantised(layer, bits), dtype)
    if loaded.get("adapter"):
        model = _adapted(model, loaded, rank)
    if loaded.get("gradient_checkpointing"):
        model.gradient_checkpointing_enable({"use_reentrant": False})
        if loaded.get("adapter"):
            model.enable_input_require_grads()
    return model


def _quantised(layer: torch.nn.Linear, bits: int | None) -> int:
    return quantised_bytes(Linear("", layer.in_features, layer.out_features), bits)


def _converted(module: Any, function: Any, recurse: bool = True) -> Any:
    """`Module._apply` for fake tensors, which torch cannot swap in place."""
    for part in module.modules() if recurse else [module]:
        for name, weight in part._parameters.items():
            made = None if weight is None else function(weight.detach())
            if made is not None and made.dtype != weight.dtype:
                grad = weight.requires_grad
                part._parameters[name] = torch.nn.Parameter(made, requires_grad=grad)
    return module


@contextlib.contextmanager
def _on_fakes() -> Any:
    """Replace what needs numbers, or cannot be done with fake tensors.

    transformers looks for packed samples in the positions; without numbers it makes a
    mask for them, and attention does not take its usual path.
    """
    from transformers import masking_utils

    search = "find_packed_sequence_indices"
    unpacked = mock.patch.object(masking_utils, search, return_value=None)
    with mock.patch.object(torch.nn.Module, "_apply", _converted), unpacked:
        yield


def _adapted(model: Any, loaded: Mapping[str, Any], rank: int) -> Any:
    from peft import LoraConfig, get_peft_model

    targets: Any = loaded.get("lora_target_modules") or []
    if loaded.get("lora_target_linear") or "all-linear" in targets:
        targets = "all-linear"
    adapter = LoraConfig(
        r=rank,
        target_modules=targets,
        modules_to_save=loaded.get("lora_modules_to_save") or None,
        use_dora=bool(loaded.get("peft_use_dora")),
        use_rslora=bool(loaded.get("peft_use_rslora")),
        task_type="CAUSAL_LM",
    )
    model.requires_grad_(False)
    return get_peft_model(model, adapter)


def _step(
    model: Any, loaded: Mapping[str, Any], number: Mapping[str, Any], half: bool
) -> None:
    """Gradients of earlier micro batches, then a forward and a backward pass."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.empty_like(parameter)
    shape = (number["micro_batch_size"], number["sequence_len"])
    ids = torch.zeros(shape, dtype=torch.long)
    autocast = torch.autocast("cpu", torch.bfloat16)
    with autocast if half else contextlib.nullcontext():
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
