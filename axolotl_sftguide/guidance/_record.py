"""The record of a run: the values that the rules use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..signals.noise_scale import NoiseScale
from ..signals.sources import HeldOut

Goal = Literal["general", "style", "reasoning"]

_REASONING = ("gsm8k", "mbpp", "humaneval", "math", "bbh", "arc", "aime", "gpqa")
_STYLE = ("mtbench", "mt_bench", "alpaca_eval", "arena", "wildbench", "ifeval_chat")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the same settings in the hosts."""

    rate: str = "learning_rate"
    epochs: str = "num_epochs"
    schedule: str = "lr_scheduler"
    micro: str = "micro_batch_size"
    accumulation: str = "gradient_accumulation_steps"
    length: str = "sequence_len"


AXOLOTL = Names()
TRL = Names(
    epochs="num_train_epochs",
    schedule="lr_scheduler_type",
    micro="per_device_train_batch_size",
    length="max_length",
)


@dataclass(frozen=True, slots=True)
class Result:
    """A score; `better` is the same with higher values better."""

    metric: str
    value: float
    higher_is_better: bool
    examples: int | None = None
    base: float | None = None
    """The model's value before the first step."""

    @property
    def better(self) -> float:
        """The value, negated if lower is better."""
        return self.value if self.higher_is_better else -self.value


@dataclass(frozen=True, slots=True)
class Other:
    """Another run of the same base model, data and objective."""

    name: str
    setting: str
    """Equal for repeats, which differ in seeds and names only."""
    config: Mapping[str, Any]
    """Its values by dotted key."""
    result: Result
    samples: int | None = None
    """Samples per optimizer step."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of the GPU, and what the training took."""

    peak_bytes: int
    """The most that torch reserved."""
    gpu_bytes: int | None = None
    """Of the whole GPU; None if it is not known."""
    row_bytes: int | None = None
    """What one more row in the micro batch takes by the plan; None without a plan."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of a dataset that are longer than the sequence length."""

    path: str
    rows: int
    long_rows: int
    trained_tokens: int
    long_tokens: int
    """Trained tokens of those rows."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A rule's decision."""

    rule: str
    action: str
    reason: str
    step: int
    signals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """What is known of a run that has ended."""

    config: Mapping[str, Any]
    """Values by dotted key."""
    status: str = "finished"
    reason: str = ""
    host: str = "axolotl"
    training: str = ""
    """`full`, `adapter` (LoRA), or empty for any other: no claim is about it."""
    parameters: int | None = None
    rows: int | None = None
    """Training rows; with packing, sequences."""
    samples: int | None = None
    """Samples per optimizer step."""
    step: int = 0
    max_steps: int = 0
    epochs: float | None = None
    """Passes over the data so far."""
    losses: tuple[tuple[int, float], ...] = ()
    """The training loss by optimizer step."""
    evaluations: tuple[tuple[int, float], ...] = ()
    """The held-out loss by optimizer step."""
    setting: str = ""
    """Equal for repeats of this run."""
    result: Result | None = None
    endings: tuple[Ending, ...] = ()
    sources: tuple[HeldOut, ...] = ()
    source_names: tuple[str, ...] = ()
    """All sources of which a training loss was recorded."""
    noise: NoiseScale | None = None
    memory: Memory | None = None
    cut: tuple[Cut, ...] | None = None
    """None if the lengths were not read."""
    others: tuple[Other, ...] = ()
    goal: Goal | None = None
    """What the model is tuned for; None if it is not known."""
    device: str = ""
    seconds: float | None = None
    """What the training took, by its mean time per step."""
    traced: bool = True
    """Whether the run's trace could be read."""
    names: Names = field(default=AXOLOTL)

    @property
    def rate(self) -> float | None:
        """The learning rate."""
        return as_number(self.config.get(self.names.rate))

    def length(self, epochs: float) -> tuple[str, float | int]:
        """The key that makes the run so many epochs long, with its value."""
        steps = as_number(self.config.get("max_steps"))
        if steps and steps > 0 and self.epochs and self.step:
            return "max_steps", max(1, round(self.step * epochs / self.epochs))
        return self.names.epochs, int(epochs) if epochs == int(epochs) else epochs

    @property
    def done(self) -> float:
        """The share of the planned steps that were trained."""
        return self.step / self.max_steps if self.max_steps else 1.0


def as_number(value: Any) -> float | None:
    """A finite number from a config; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def goal_of(metric: str) -> Goal | None:
    """What a model is tuned for that is judged by this metric; None if unclear."""
    name = metric.lower().replace("-", "_")
    if any(name.startswith(known) or f"/{known}" in name for known in _REASONING):
        return "reasoning"
    return "style" if any(known in name for known in _STYLE) else None
