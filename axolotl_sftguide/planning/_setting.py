"""What a config asks for, as far as it costs memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..config.as_loaded import as_loaded
from ..config.axolotl_keys import LORA_EMBEDDING_KERNEL, LORA_KERNELS
from ..config.evaluation import packs_evaluations
from ._architecture import Architecture
from ._deepspeed import Zero, read_zero
from ._numbers import read_numbers
from ._quantisation import AS_IS, Bits, loaded_bits
from ._sharding import reshards, shards
from ._targets import TABLES, find_targets
from ._unplanned import not_planned

Loss = Literal["plain", "chunked", "liger", "cut", "trl"]
"""The logits: whole, in chunks, fused with the loss, never stored, in TRL's chunks."""

Trainer = Literal["axolotl", "trl", "unsloth"]
"""Whose code runs the training."""

_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_MLP = {"gate_proj", "up_proj", "down_proj"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A training, as far as its memory goes."""

    adapter: bool
    bits: int | None
    """4 or 8 if the linear layers are quantised."""
    rank: int
    targets: tuple[str, ...]
    """Names of the linear layers with adapters."""
    target_layers: tuple[int, ...]
    """For each of these names, in how many decoder layers it has an adapter."""
    target_tables: int
    """Number of embedding tables with adapters."""
    upcast_linears: bool
    """Whether the linear layers are in 32 bits beside other weights in 16."""
    whole_modules: int
    """Number of embedding tables trained in full beside the adapters."""
    saves_embedding: bool
    """Whether the embedding is one of them."""
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
    eager: bool
    """Whether attention writes its scores, as `eager` does."""
    eval_batch_size: int | None
    """Rows of an evaluation's batch: 0 without one, None for the micro batch's."""
    half: bool
    """Whether the training runs in 16 bits."""
    gpus: int
    stage: int
    """ZeRO's stage: the GPUs divide the optimizer from 1 on, gradients from 2 on and
    weights at 3, as FSDP does; 0 if each GPU has everything."""
    shards: int
    """How many GPUs divide what is divided."""
    reshards: bool
    """FSDP gives gathered weights back after the forward pass."""
    float32_shards: bool
    """FSDP keeps trained weights in float32 and gathers them in 16 bits."""
    float32_copies: bool
    """DeepSpeed's optimizer has float32 copies of 16-bit weights."""
    offloads_weights: bool
    """FSDP or ZeRO keeps weights, and FSDP all, in the host's memory."""
    offloads_optimizer: bool
    """FSDP or ZeRO keeps gradients and optimizer in the host's memory."""
    offloads_checkpoints: bool
    """Hidden states that checkpointing keeps are in the host's memory."""
    half_adapters: bool
    """Adapters are trained in 16 bits, as TRL does with quantised weights."""
    unplanned: tuple[str, ...]
    """Keys that change the memory, and are not planned."""

    @property
    def fused_adapters(self) -> bool:
        """Whether kernels cover all adapters, so that autocast copies none."""
        return self.mlp_kernel and self.attention_kernels

    @property
    def evaluation_rows(self) -> int:
        """Rows or packed sequences in a batch of an evaluation; 0 without one."""
        if self.eval_batch_size is None:
            return self.micro_batch_size
        return self.eval_batch_size

    @property
    def tokens(self) -> int:
        """Tokens of one micro batch, padded or packed to `sequence_len`."""
        return self.micro_batch_size * self.sequence_len


def read_setting(
    config: Mapping[str, Any],
    architecture: Architecture,
    *,
    gpus: int = 1,
    trainer: Trainer = "axolotl",
    stored: Bits = AS_IS,
) -> Setting:
    """Read the setting from a config.

    Args:
        config: Axolotl's config, before its own validation.
        architecture: The model's architecture.
        gpus: Number of GPUs.
        trainer: Whose code runs the training.
        stored: How the model's own weights are stored.

    Raises:
        PlanError: With every wrong number.
    """
    number = read_numbers(config)
    held_out = _holds_out(config)
    in_chunks = trainer == "trl" and config.get("loss_type") == "chunked_nll"
    config = {**as_loaded(config), **_OF_TRAINER[trainer]}
    found = find_targets(config, architecture)
    targets = found.linears
    half = any(config.get(key) for key in ("bf16", "bfloat16", "fp16", "float16"))
    fsdp, zero = bool(config.get("fsdp_config") or config.get("fsdp")), _zero(config)
    stage = 3 if fsdp else zero.stage
    offloads = fsdp and _fsdp_offloads(config)
    loaded = loaded_bits(config, stored, stage=stage, by_axolotl=trainer == "axolotl")
    saved = _saved_tables(config)
    return Setting(
        adapter=bool(config.get("adapter")),
        bits=loaded.bits,
        rank=number["lora_r"],
        targets=targets,
        target_layers=found.layers,
        target_tables=found.tables,
        upcast_linears=loaded.upcast and half,
        whole_modules=len(saved),
        saves_embedding="embed_tokens" in saved,
        optimizer=str(config.get("optimizer") or "adamw_torch_fused"),
        micro_batch_size=number["micro_batch_size"],
        sequence_len=number["sequence_len"],
        checkpointing=bool(config.get("gradient_checkpointing")),
        loss="trl" if in_chunks else _loss(config),
        mlp_kernel=_kernel(config, "lora_mlp_kernel", targets, _MLP),
        attention_kernels=_kernel(config, "lora_qkv_kernel", targets, _ATTENTION),
        fused_norms=bool(config.get("liger_rms_norm")),
        fused_glu=bool(config.get("liger_glu_activation")),
        eager=config.get("attn_implementation") == "eager",
        eval_batch_size=_eval_batch_size(config, held_out=held_out),
        half=half,
        gpus=gpus,
        stage=stage if gpus > 1 else 0,
        shards=shards(config, gpus) if fsdp else gpus,
        reshards=not fsdp or reshards(config),
        float32_shards=gpus > 1 and fsdp,
        float32_copies=half and stage > 0 and not fsdp,
        offloads_weights=offloads or (not fsdp and zero.offloads_weights),
        offloads_optimizer=offloads or (not fsdp and zero.offloads_optimizer),
        offloads_checkpoints=_offloads_checkpoints(config, trainer),
        half_adapters=trainer == "trl" and half and loaded.bits is not None,
        unplanned=tuple(not_planned(config, architecture.experts == 0, loaded.other)),
    )


def _saved_tables(config: Mapping[str, Any]) -> set[str]:
    """The embedding tables that `lora_modules_to_save` trains in full."""
    modules = config.get("lora_modules_to_save") or ()
    asked = {str(name).rpartition(".")[2] for name in modules}
    return asked & set(TABLES) if config.get("adapter") else set()


_OF_TRAINER: dict[Trainer, dict[str, Any]] = {
    "axolotl": {},
    "trl": {
        **dict.fromkeys((*LORA_KERNELS, LORA_EMBEDDING_KERNEL), False),
        "eval_sample_packing": False,
    },
    "unsloth": {
        **dict.fromkeys(LORA_KERNELS, True),
        "eval_sample_packing": False,
        "liger_rms_norm": True,
        "liger_fused_linear_cross_entropy": True,
    },
}
"""What other trainers do always, in the keys of Axolotl that do the same."""


def _offloads_checkpoints(config: Mapping[str, Any], trainer: Trainer) -> bool:
    named = config.get("activation_offloading") == "hidden_states"
    return bool(config.get("gradient_checkpointing")) and (
        named or trainer == "unsloth"
    )


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


def _zero(config: Mapping[str, Any]) -> Zero:
    return read_zero(config.get("deepspeed"))


def _fsdp_offloads(config: Mapping[str, Any]) -> bool:
    block = config.get("fsdp_config")
    block = block if isinstance(block, Mapping) else {}
    named = block.get("offload_params") or block.get("fsdp_offload_params")
    return bool(named) or "offload" in (config.get("fsdp") or ())


def _holds_out(config: Mapping[str, Any]) -> bool:
    """Whether the mix gives the evaluation its rows."""
    block = config.get("sftguide")
    mix = block.get("mix") if isinstance(block, Mapping) else None
    return isinstance(mix, Mapping) and bool(mix.get("held_out"))


def _eval_batch_size(config: Mapping[str, Any], *, held_out: bool) -> int | None:
    """Rows of an evaluation's batch; 0 without data, or without a time to evaluate.

    None stands for the micro batch, which Axolotl fills wherever it packs the rows of
    an evaluation (core/trainers/base.py, `_create_multipack_sampler`).
    """
    has_rows = held_out or config.get("val_set_size") or config.get("test_datasets")
    strategy = config.get("eval_strategy") or config.get("evaluation_strategy") or "no"
    when = config.get("eval_steps") or config.get("evals_per_epoch") or strategy != "no"
    size = config.get("eval_batch_size")
    if not has_rows or not when:
        return 0
    if not isinstance(size, int) or size <= 0 or packs_evaluations(config):
        return None
    return size
