"""What is trained, in which precision and over how many GPUs: what fits the card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..config.model_layers import block_classes
from ..errors import PlanError
from ..planning import KNOWN, MemoryPlan, plan_memory, read_architecture
from ._choice import Choice, Choices
from ._families import family_of
from ._layout import Layout
from ._model import ModelFacts
from ._request import Request, Sharding, Training

MANY_ROWS = 200_000
"""The least rows of the claims on full fine-tuning with large batches."""

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to train the model."""

    training: Training
    sharding: Sharding
    layout: Layout
    optimizer: str
    rank: int = 64
    offload: bool = False
    evaluates: bool = True
    """Whether the held-out loss is measured."""
    trainer: Literal["axolotl", "trl"] = "axolotl"

    @property
    def is_adapter(self) -> bool:
        """Whether only an adapter is trained."""
        return self.training != "full"


def trainings(request: Request, model: ModelFacts, rows: int) -> list[Training]:
    """What may be trained, the best first."""
    if request.training is not None:
        return [request.training]
    if rows >= MANY_ROWS or model.is_small:
        return ["full", "lora", "qlora"]
    return ["lora", "qlora"]


def candidates(
    request: Request, model: ModelFacts, rows: int, layouts: Sequence[Layout]
) -> Iterator[Candidate]:
    """All ways to train with some layouts, the best first.

    A shorter sequence is tried before what is trained is changed.
    """
    several = request.gpus > 1
    shardings: list[Sharding] = ["ddp", "fsdp"] if several else ["ddp"]
    if request.sharding is not None and several:
        shardings = [request.sharding]
    asked = trainings(request, model, rows)
    adapters = [training for training in asked if training != "full"]
    ways: list[tuple[Training, Sharding]] = []
    ways += [("full", sharding) for sharding in shardings if "full" in asked]
    ways += [(a, sharding) for sharding in shardings for a in adapters]
    ranks = [request.lora_r] if request.lora_r else [64, 16]
    for rank in ranks:
        for training, sharding in ways:
            if training == "full" and rank != ranks[0]:
                continue
            for optimizer in optimizers(training, sharding, request):
                for layout in layouts:
                    yield Candidate(
                        training,
                        sharding,
                        layout,
                        optimizer,
                        rank,
                        trainer=request.trainer,
                    )
    if request.training == "full" and several:
        for layout in layouts:
            yield Candidate(
                "full",
                "fsdp",
                layout,
                "adamw_torch_fused",
                offload=True,
                trainer=request.trainer,
            )


def optimizers(training: Training, sharding: Sharding, request: Request) -> list[str]:
    """Optimizers to try, the best first."""
    several = request.gpus > 1
    if sharding != "ddp":
        return ["adamw_torch_fused"]
    if training == "full":
        return ["adamw_torch_fused", *(() if several else ("paged_adamw_8bit",))]
    if request.trainer == "trl" and training == "lora":  # spares bitsandbytes
        return ["adamw_torch_fused", "paged_adamw_8bit"]
    return ["paged_adamw_8bit"]


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
        kernels = [*_basics(), Choice("loss_type", "chunked_nll", _IN_CHUNKS, "fits")]
    else:
        kernels = [*_basics(), *_liger(model)]
    return [*kernels, *_sharded(candidate, model)]


def _adapter(candidate: Candidate) -> Iterator[Choice]:
    if not candidate.is_adapter:
        return
    kind = candidate.training
    yield Choice("adapter", kind, "", "fits")
    if kind == "qlora":
        why = "NF4 with double quantisation, as Axolotl sets it"
        yield Choice("load_in_4bit", True, why, "default")
    why = "gained nothing above 64" if candidate.rank == 64 else ""
    yield Choice("lora_r", candidate.rank, why, "evidence", ("adapter-rank",))
    yield Choice("lora_alpha", 32, "", "evidence", ("adapter-alpha",))
    yield Choice("lora_target_linear", True, "", "evidence", ("adapter-everywhere",))


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


def _basics() -> Iterator[Choice]:
    yield Choice("bf16", True, "needs Ampere (RTX 30, A10, A100) or newer", "default")
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


def as_config(choices: Sequence[Choice], extra: dict[str, Any]) -> dict[str, Any]:
    """A config of some choices, for the planner."""
    made = Choices()
    for choice in choices:
        made.add(choice)
    return {**made.config(), **extra}


EVALUATED: dict[str, Any] = {
    "sftguide": {"mix": {"held_out": 0.1}},
    "evals_per_epoch": 1,
}
"""What makes the planner plan an evaluation."""


def planned(
    candidate: Candidate, model: ModelFacts, request: Request, extra: dict[str, Any]
) -> MemoryPlan:
    """The memory of a candidate.

    Args:
        candidate: What is trained.
        model: The model.
        request: The card.
        extra: Further keys, such as the micro batch.
    """
    if candidate.evaluates:
        extra = {**EVALUATED, **extra}
    config = as_config(memory_choices(candidate, model), extra)
    return plan_memory(
        {"base_model": model.name, "plugins": plugins(model), **config},
        model.config,
        gpu_bytes=request.gpu_bytes,
        gpus=request.gpus,
        trainer=request.trainer,
    )


def nothing_fits(
    request: Request, model: ModelFacts, least: int, candidate: Candidate
) -> PlanError:
    """The error if no candidate fits, with what would fit."""
    needs = least / 2**30
    has = request.gpu_bytes / 2**30
    smaller = _that_would_fit(request, model, candidate)
    model_hint = f", or --model {smaller}" if smaller else ""
    flags = [
        flag
        for flag, value in (
            ("--adapter", request.training),
            ("--sequence-len", request.sequence_len),
            ("--micro-batch-size", request.micro_batch_size),
        )
        if value is not None
    ]
    fixed = f" with {' and '.join(flags)} as given" if flags else ""
    what = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}
    return PlanError(
        f"--gpu-memory {has:.3g}GiB: too little for {model.name}{fixed}: "
        f"{what[candidate.training]} at {candidate.layout.sequence_len:,} tokens needs "
        f"{needs:.1f} GiB; use a card of {-(-least // 2**30)} GiB or "
        f"more{model_hint}"
    )


def _that_would_fit(request: Request, model: ModelFacts, candidate: Candidate) -> str:
    """The largest smaller model of the same family that fits."""
    found: list[tuple[int, str]] = []
    for name, config in KNOWN.items():
        if model.family is None or family_of(name) != model.family:
            continue
        shapes = read_architecture(config, name)
        if shapes.parameters >= model.parameters:
            continue
        made = plan_memory(
            as_config(
                memory_choices(candidate, replace(model, config=config)),
                {"base_model": name, "plugins": plugins(model)},
            ),
            config,
            gpu_bytes=request.gpu_bytes,
        )
        if made.fits:
            found.append((shapes.parameters, name))
    return max(found)[1] if found else ""
