"""What the user asks for; everything but model, data and memory may be left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Goal = Literal["general", "style", "reasoning"]
Training = Literal["full", "lora", "qlora"]
Sharding = Literal["ddp", "fsdp", "zero"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a config is written for. `None` leaves a choice to the evidence."""

    model: str
    data: Sequence[str]
    gpu_bytes: int
    gpus: int = 1
    name: str = "my-run"
    """Of the study and the output folder."""
    trainer: Literal["axolotl", "trl"] = "axolotl"
    goal: Goal | None = None
    training: Training | None = None
    sharding: Sharding | None = None
    chat_template: str | None = None
    sequence_len: int | None = None
    packing: bool | None = None
    micro_batch_size: int | None = None
    effective_batch_size: int | None = None
    learning_rate: float | None = None
    scheduler: str | None = None
    epochs: float | None = None
    lora_r: int | None = None
    held_out: float | None = None
    seed: int | None = None
