"""The peak memory of a training, and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ._activations import passing_parts
from ._architecture import Architecture, read_architecture
from ._evaluation import evaluation_parts
from ._setting import Setting, Trainer, read_setting
from ._states import Part, state_parts
from ._unplanned import moves_states

CONTEXT_BYTES = 600 * 2**20
SLACK = 0.05
_MOST_MICRO_BATCH = 256


@dataclass(frozen=True)
class MemoryPlan:
    """The memory of a training at its peak, on one GPU."""

    architecture: Architecture
    setting: Setting
    parts: tuple[Part, ...]
    """All parts; those of the forward and backward pass do not all coexist."""
    peak_bytes: int
    peak_at: str
    """The part of the forward or backward pass during which the peak occurs."""
    gpu_bytes: int
    largest_micro_batch: int
    """The largest micro batch that fits; 0 if none does."""

    @property
    def not_planned(self) -> tuple[str, ...]:
        """Keys of the config that change the memory, and are not planned."""
        return self.setting.unplanned

    @property
    def states_are_exact(self) -> bool:
        """Whether all keys on weights, adapters and optimizer are planned."""
        return not moves_states(list(self.not_planned))

    @property
    def fits(self) -> bool:
        """Whether the peak is within the GPU's memory."""
        return self.peak_bytes <= self.gpu_bytes


def plan_memory(
    config: Mapping[str, Any],
    model_config: Mapping[str, Any],
    *,
    gpu_bytes: int = 24 * 2**30,
    gpus: int = 1,
    trainer: Trainer = "axolotl",
) -> MemoryPlan:
    """Estimate a training's memory from its config and the model's `config.json`.

    Weights, adapters and optimizer are exact unless `not_planned` has keys that change
    them. Activations and logits are formulas for their largest tensors. CUDA context
    and allocator slack are assumptions.

    Args:
        config: Axolotl's config, before its own validation.
        model_config: The model's `config.json`.
        gpu_bytes: Memory of one GPU in bytes.
        gpus: Number of GPUs; FSDP and ZeRO divide weights, gradients or optimizer
            between them.
        trainer: Whose code runs the training: `axolotl`, `trl` or `unsloth`. The keys
            are Axolotl's, and TRL's `loss_type`.

    Raises:
        PlanError: If the architecture is unknown, or a value is not a number.
    """
    name = str(config.get("base_model", "config.json"))
    architecture = read_architecture(model_config, name)
    setting = read_setting(config, architecture, gpus=gpus, trainer=trainer)
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
    evaluated = evaluation_parts(architecture, setting)
    always = sum(part.size_bytes for part in states)
    always += sum(passing[n].size_bytes for n in _KEPT if n in passing)
    in_a_layer = [passing[n] for n in _IN_A_LAYER if n in passing]
    at_layer = sum(part.size_bytes for part in in_a_layer)
    at_loss = passing["logits"].size_bytes
    size = always + max(at_layer, at_loss)
    at = "logits" if at_loss >= at_layer else in_a_layer[0].name
    kept = ("gradients", "gradient buckets")  # gone between steps
    at_evaluation = sum(p.size_bytes for p in states if p.name not in kept)
    at_evaluation += sum(part.size_bytes for part in evaluated)
    if evaluated and at_evaluation > size:
        size, at = at_evaluation, "evaluation"
    slack = Part(
        "context and slack",
        slack_bytes(size),
        f"assumed: {CONTEXT_BYTES >> 20} MiB + {SLACK:.0%}",
        f"{CONTEXT_BYTES >> 20} MiB + {SLACK:.0%} of the other parts",
        "an assumption, not measured",
    )
    parts = (*states, *passing.values(), *evaluated, slack)
    return parts, size + slack.size_bytes, at


def slack_bytes(size: int) -> int:
    """What CUDA's context and the allocator take beside tensors of a size, assumed."""
    return CONTEXT_BYTES + int(SLACK * size)


_KEPT = ("checkpoints", "activations", "adapters in 16 bits", "gathered weights")
_IN_A_LAYER = (
    "recomputed layer",
    "layer gradients",
    "layer adapters in 16 bits",
    "dequantised weight",
)
