"""What a config asks for, as far as it costs memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..config.axolotl_keys import LORA_EMBEDDING_KERNEL, LORA_KERNELS
from ._architecture import Architecture
from ._numbers import read_numbers

Loss = Literal["plain", "chunked", "liger", "cut"]
"""The logits: whole, in chunks, fused with the loss, or never stored."""

_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_MLP = {"gate_proj", "up_proj", "down_proj"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A training, as far as its memory goes."""

    adapter: bool
    four_bits: bool
    rank: int
    targets: tuple[str, ...]
    """Names of the linear layers with adapters."""
    whole_modules: int
    """Number of embedding tables trained in full beside the adapters."""
    optimizer: str
    micro_batch_size: int
    sequence_len: int
    checkpointing: bool
    loss: Loss
    mlp_kernel: bool
    """Axolotl's LoRA kernel for the MLP, if its three layers have adapters."""
    attention_kernels: bool
    """Axolotl's LoRA kernels for queries, keys, values and the output."""
    fused_norms: bool
    """Liger's norms, which keep no float32 copy."""
    fused_glu: bool
    """Liger's activation, which is recomputed in the backward pass."""
    half: bool
    """Whether the training runs in 16 bits."""
    cards: int
    stage: int
    """ZeRO's stage: the GPUs divide the optimizer from 1 on, gradients from 2 on and
    weights at 3, as FSDP does; 0 if each GPU has everything."""
    float32_shards: bool
    """FSDP keeps trained weights in float32 and gathers them in 16 bits."""
    float32_copies: bool
    """DeepSpeed's optimizer has float32 copies of 16-bit weights."""

    @property
    def fused_adapters(self) -> bool:
        """Whether kernels cover all adapters, so that autocast copies none."""
        return self.mlp_kernel and self.attention_kernels

    @property
    def tokens(self) -> int:
        """Tokens of one micro batch, padded or packed to `sequence_len`."""
        return self.micro_batch_size * self.sequence_len


def read_setting(
    config: Mapping[str, Any], architecture: Architecture, *, gpus: int = 1
) -> Setting:
    """Read the setting from a config.

    Args:
        config: Axolotl's config, before its own validation.
        architecture: The model's architecture.
        gpus: Number of GPUs.

    Raises:
        PlanError: With every wrong number.
    """
    number = read_numbers(config)
    targets = _targets(config, architecture)
    half = bool(config.get("bf16") or config.get("fp16"))
    fsdp, stage = bool(config.get("fsdp_config") or config.get("fsdp")), _stage(config)
    return Setting(
        adapter=bool(config.get("adapter")),
        four_bits=bool(config.get("load_in_4bit")),
        rank=number["lora_r"],
        targets=targets,
        whole_modules=_whole_modules(config, architecture),
        optimizer=str(config.get("optimizer") or "adamw_torch_fused"),
        micro_batch_size=number["micro_batch_size"],
        sequence_len=number["sequence_len"],
        checkpointing=bool(config.get("gradient_checkpointing")),
        loss=_loss(config),
        mlp_kernel=_kernel(config, "lora_mlp_kernel", targets, _MLP),
        attention_kernels=_kernel(config, "lora_qkv_kernel", targets, _ATTENTION),
        fused_norms=bool(config.get("liger_rms_norm")),
        fused_glu=bool(config.get("liger_glu_activation")),
        half=half,
        cards=gpus,
        stage=stage if gpus > 1 else 0,
        float32_shards=gpus > 1 and fsdp,
        float32_copies=half and stage > 0 and not fsdp,
    )


def _targets(config: Mapping[str, Any], architecture: Architecture) -> tuple[str, ...]:
    names = tuple(linear.name for linear in architecture.linears)
    if not config.get("adapter"):
        return ()
    if config.get("lora_target_linear"):
        return names
    asked = config.get("lora_target_modules") or []
    asked = [asked] if isinstance(asked, str) else asked
    if "all-linear" in asked:
        return names
    last = {str(name).rpartition(".")[2] for name in asked}
    return tuple(name for name in names if name in last)


def _whole_modules(config: Mapping[str, Any], architecture: Architecture) -> int:
    asked = set(config.get("lora_modules_to_save") or ())
    return len(asked & {"embed_tokens", "lm_head"}) if config.get("adapter") else 0


def _loss(config: Mapping[str, Any]) -> Loss:
    if config.get("cut_cross_entropy"):
        return "cut"
    if config.get("liger_fused_linear_cross_entropy"):
        return "liger"
    return "chunked" if config.get("chunked_cross_entropy") else "plain"


def _kernel(
    config: Mapping[str, Any], key: str, targets: tuple[str, ...], needs: set[str]
) -> bool:
    """Whether a LoRA kernel is on.

    Axolotl 0.19.0 turns all kernels on if none of their keys is set, except with
    `load_in_8bit` or `trust_remote_code`.
    """
    if config.get("adapter") not in ("lora", "qlora") or not needs <= set(targets):
        return False
    keys = (*LORA_KERNELS, LORA_EMBEDDING_KERNEL)
    if any(config.get(each) is not None for each in keys):
        return bool(config.get(key))
    return not (config.get("load_in_8bit") or config.get("trust_remote_code"))


def _stage(config: Mapping[str, Any]) -> int:
    if config.get("fsdp_config") or config.get("fsdp"):
        return 3
    deepspeed = config.get("deepspeed") or ""
    if isinstance(deepspeed, Mapping):
        return int((deepspeed.get("zero_optimization") or {}).get("stage") or 0)
    named = re.search(r"zero_?([123])", str(deepspeed).rpartition("/")[2])
    return int(named[1]) if named else 0
