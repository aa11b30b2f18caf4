"""What is trained, in which precision and over how many GPUs: what fits the card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ._layout import Layout
from ._model import ModelFacts
from ._request import Request, Sharding, Training

MANY_ROWS = 200_000
"""The fewest rows in the claims on full fine-tuning with large batches."""


Kind = Literal["full", "adapter"]


def kind_of(training: Training) -> Kind:
    """The kind of a training, as claims name it."""
    return "full" if training == "full" else "adapter"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to train the model."""

    training: Training
    sharding: Sharding
    layout: Layout
    optimizer: str
    rank: int = 64
    rank_is_given: bool = False
    offload: bool = False
    evaluates: bool = True
    """Whether the held-out loss is measured."""
    trainer: Literal["axolotl", "trl"] = "axolotl"

    @property
    def is_adapter(self) -> bool:
        """Whether only an adapter is trained."""
        return self.training != "full"

    @property
    def kind(self) -> Kind:
        """`full` or `adapter`, as claims name the kind of a training."""
        return kind_of(self.training)


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

    A shorter sequence is tried before what is trained is changed. Over several GPUs,
    FSDP2 keeps the trained weights in float32. A copy on each GPU keeps them in bf16,
    where a step of 2e-5 is less than half the spacing of numbers above 0.008, and so
    leaves most weights as they are.
    """
    several = request.gpus > 1
    shardings: list[Sharding] = ["ddp", "fsdp"] if several else ["ddp"]
    if request.sharding is not None and several:
        shardings = [request.sharding]
    asked = trainings(request, model, rows)
    adapters = [training for training in asked if training != "full"]
    ways: list[tuple[Training, Sharding]] = []
    exact = shardings if model.is_small else shardings[::-1]
    ways += [("full", sharding) for sharding in exact if "full" in asked]
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
                        rank_is_given=request.lora_r is not None,
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
