"""What the user asks for; everything but model, data and memory may be left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..evidence.effective_batch import KEY as BATCH_SIZE
from ._choice import Choice, Choices

Goal = Literal["general", "style", "reasoning"]
Training = Literal["full", "lora", "qlora"]
Sharding = Literal["ddp", "fsdp", "zero"]


@dataclass(frozen=True, slots=True)
class Stated:
    """A value with a reason of its own, such as a study's or what was measured."""

    choice: Choice
    after: str = ""
    """The key that it is written after, if nothing else chooses it."""
    instead_of: str = ""
    """The key whose place it takes."""
    decides: bool = True
    """Whether other values follow from it."""


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
    stated: Sequence[Stated] = ()
    """Values that replace what would be chosen, and decide what follows from them."""

    def with_stated(self) -> Request:
        """The request with the values that are stated."""
        found = {
            _FIELDS[each.choice.key]: each.choice.value
            for each in self.stated
            if each.decides and each.choice.key in _FIELDS
        }
        given: dict[str, Any] = found
        return replace(self, **given)


_FIELDS = {
    "adapter": "training",
    "chat_template": "chat_template",
    "sequence_len": "sequence_len",
    "sample_packing": "packing",
    "micro_batch_size": "micro_batch_size",
    BATCH_SIZE: "effective_batch_size",
    "learning_rate": "learning_rate",
    "lr_scheduler": "scheduler",
    "num_epochs": "epochs",
    "lora_r": "lora_r",
    "sftguide.mix.held_out": "held_out",
}
"""The field of a request for a key of Axolotl's."""


def add_stated(choices: Choices, stated: Sequence[Stated]) -> None:
    """Put the stated values in the place of what was chosen."""
    for each in stated:
        other = each.instead_of or each.after
        choices.add_beside(each.choice, other, instead=bool(each.instead_of))
