"""The peak of a training's memory, and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ._activations import passing_parts
from ._architecture import Architecture, read_architecture
from ._setting import Setting, read_setting
from ._states import Part, state_parts

CONTEXT_BYTES = 600 * 2**20
SLACK = 0.05
_MOST_MICRO_BATCH = 256


@dataclass(frozen=True)
class MemoryPlan:
    """What a training holds at its peak on one card."""

    architecture: Architecture
    setting: Setting
    parts: tuple[Part, ...]
    """All of them; of those that pass, not all are there at once."""
    peak_bytes: int
    peak_at: str
    """Which of the passing parts makes the peak."""
    gpu_bytes: int
    largest_micro_batch: int
    """That fits; 0 where none does."""

    @property
    def fits(self) -> bool:
        """Whether the peak is within the card's memory."""
        return self.peak_bytes <= self.gpu_bytes


def plan_memory(
    config: Mapping[str, Any],
    model_config: Mapping[str, Any],
    *,
    gpu_bytes: int = 24 * 2**30,
    gpus: int = 1,
) -> MemoryPlan:
    """Plan a training's memory from configurations alone.

    Weights, adapters and optimizer are exact; what passes through a step is a formula
    for its largest tensors; context and slack of the allocator are assumed.

    Args:
        config: Of Axolotl, before its own validation.
        model_config: The model's `config.json`.
        gpu_bytes: Memory of one card.
        gpus: Cards; they share what FSDP or a stage of ZeRO divides.

    Raises:
        PlanError: Where the model is of no known kind, or a number is none.
    """
    name = str(config.get("base_model", "config.json"))
    architecture = read_architecture(model_config, name)
    setting = read_setting(config, architecture, gpus=gpus)
    parts, peak, at = _peak(architecture, setting)
    largest = 0
    for micro in range(1, _MOST_MICRO_BATCH + 1):
        _, size, _ = _peak(architecture, replace(setting, micro_batch_size=micro))
        if size > gpu_bytes:
            break
        largest = micro
    return MemoryPlan(architecture, setting, parts, peak, at, gpu_bytes, largest)


def _peak(
    architecture: Architecture, setting: Setting
) -> tuple[tuple[Part, ...], int, str]:
    states = state_parts(architecture, setting)
    passing = {part.name: part for part in passing_parts(architecture, setting)}
    always = sum(part.size_bytes for part in states)
    always += sum(passing[n].size_bytes for n in _KEPT if n in passing)
    in_a_layer = [passing[n] for n in _IN_A_LAYER if n in passing]
    at_layer = sum(part.size_bytes for part in in_a_layer)
    at_loss = passing["logits"].size_bytes
    size = always + max(at_layer, at_loss)
    slack = Part(
        "context and slack",
        CONTEXT_BYTES + int(SLACK * size),
        f"{CONTEXT_BYTES >> 20} MiB + {SLACK:.0%}",
        "assumed, not measured",
    )
    at = "logits" if at_loss >= at_layer else in_a_layer[0].name
    parts = (*states, *passing.values(), slack)
    return parts, size + slack.size_bytes, at


_KEPT = ("checkpoints", "activations", "adapters in 16 bits", "gathered weights")
_IN_A_LAYER = (
    "one layer again",
    "its gradients",
    "its adapters in 16 bits",
    "one weight again",
)
