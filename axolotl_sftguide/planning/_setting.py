"""What a configuration of Axolotl asks of a card's memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..config.axolotl_keys import LORA_EMBEDDING_KERNEL, LORA_KERNELS
from ._architecture import Architecture
from ._numbers import read_numbers

Loss = Literal["plain", "chunked", "liger", "cut"]
"""How the logits are made: whole, in chunks, fused with the loss, or never written."""

_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_MLP = {"gate_proj", "up_proj", "down_proj"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A training, as far as its memory goes."""

    adapter: bool
    four_bits: bool
    rank: int
    targets: tuple[str, ...]
    """Names of the linear layers that have adapters."""
    whole_modules: int
    """Embedding tables that are trained whole beside the adapters."""
    optimizer: str
    micro_batch_size: int
    sequence_len: int
    checkpointing: bool
    loss: Loss
    mlp_kernel: bool
    """Axolotl's, for an MLP whose three layers have adapters."""
    attention_kernels: bool
    """Axolotl's, for queries, keys, values and the output."""
    fused_norms: bool
    """Liger's, which keep no copy in float32."""
    fused_glu: bool
    """Liger's, which makes the gate's activation again going back."""
    half: bool
    """Whether it computes in 16 bits."""
    cards: int
    stage: int
    """Of ZeRO: the optimizer is divided over the cards from 1 on, gradients from 2,
    weights at 3, which is FSDP too; 0 where each card has all of it."""
    float32_shards: bool
    """FSDP's: what is trained stays in float32, and is gathered in 16 bits."""
    float32_copies: bool
    """DeepSpeed's: the optimizer has a float32 copy of what is in 16 bits."""

    @property
    def fused_adapters(self) -> bool:
        """Whether all adapters are in kernels, out of autocast's sight."""
        return self.mlp_kernel and self.attention_kernels

    @property
    def tokens(self) -> int:
        """Of one micro batch, padded or packed to its whole length."""
        return self.micro_batch_size * self.sequence_len


def read_setting(
    config: Mapping[str, Any], architecture: Architecture, *, gpus: int = 1
) -> Setting:
    """The setting of a configuration.

    Args:
        config: Of Axolotl, before its own validation.
        architecture: Of its model.
        gpus: Cards; they share what FSDP or a stage of ZeRO divides.

    Raises:
        PlanError: With all numbers that are wrong.
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
    """Whether a kernel for adapters is at work.

    Axolotl 0.19.0 turns all of them on where none is set, but not for 8 bits or for
    code of a model's own.
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
