"""The peak memory of a training, and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ._activations import passing_parts
from ._architecture import Architecture, read_architecture
from ._evaluation import evaluation_parts
from ._quantisation import stored_bits
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
    """All parts; they do not all coexist."""
    peak_bytes: int
    peak_at: str
    """`evaluation`, or the part of a step during which the peak occurs."""
    at_peak: frozenset[str]
    """Names of the parts that are held at the peak; they add up to it."""
    step_bytes: int
    """The peak of a step."""
    evaluation_bytes: int | None
    """The peak of an evaluation; None if there is none."""
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
    stored = stored_bits(model_config, name)
    setting = read_setting(
        config, architecture, gpus=gpus, trainer=trainer, stored=stored
    )
    peak = _peak(architecture, setting)
    largest = 0
    for micro in range(1, _MOST_MICRO_BATCH + 1):
        other = _peak(architecture, replace(setting, micro_batch_size=micro))
        if other.size_bytes > gpu_bytes:
            break
        largest = micro
    return MemoryPlan(
        architecture,
        setting,
        peak.parts,
        peak.size_bytes,
        peak.at,
        peak.held,
        peak.step_bytes,
        peak.evaluation_bytes,
        gpu_bytes,
        largest,
    )


@dataclass(frozen=True, slots=True)
class _Peak:
    """The parts of a training, and the largest sum of those that coexist."""

    parts: tuple[Part, ...]
    size_bytes: int
    at: str
    held: frozenset[str]
    step_bytes: int
    evaluation_bytes: int | None


def _peak(architecture: Architecture, setting: Setting) -> _Peak:
    states = state_parts(architecture, setting)
    passing = passing_parts(architecture, setting)
    evaluated = evaluation_parts(architecture, setting)
    in_a_layer = [part for part in passing if part.name in _IN_A_LAYER]
    at_loss = [part for part in passing if part.name == "logits"]
    largest = max(at_loss, in_a_layer, key=_size)
    in_step = [*states, *(p for p in passing if p.name in _KEPT), *largest]
    between = [p for p in states if p.name not in _GONE]
    in_evaluation = [*between, *evaluated] if evaluated else []
    in_evaluation_alone = bool(evaluated) and _size(in_evaluation) > _size(in_step)
    held = in_evaluation if in_evaluation_alone else in_step
    size = _size(held)
    slack = Part(
        "context and slack",
        slack_bytes(size),
        f"assumed: {CONTEXT_BYTES >> 20} MiB + {SLACK:.0%}",
        f"{CONTEXT_BYTES >> 20} MiB + {SLACK:.0%} of the other parts",
        "an assumption, not measured",
    )
    return _Peak(
        (*states, *passing, *evaluated, slack),
        size + slack.size_bytes,
        "evaluation" if in_evaluation_alone else largest[0].name,
        frozenset(part.name for part in (*held, slack)),
        _with_slack(in_step),
        _with_slack(in_evaluation) if evaluated else None,
    )


def _size(parts: Sequence[Part]) -> int:
    return sum(part.size_bytes for part in parts)


def _with_slack(parts: Sequence[Part]) -> int:
    return _size(parts) + slack_bytes(_size(parts))


def slack_bytes(size: int) -> int:
    """What CUDA's context and the allocator take beside tensors of a size, assumed."""
    return CONTEXT_BYTES + int(SLACK * size)


_KEPT = ("checkpoints", "activations", "adapters in 16 bits", "gathered weights")
_GONE = ("gradients", "gradient buckets")
"""Parts that are gone between two steps."""
_IN_A_LAYER = (
    "recomputed layer",
    "layer gradients",
    "layer adapters in 16 bits",
    "dequantised weight",
)
