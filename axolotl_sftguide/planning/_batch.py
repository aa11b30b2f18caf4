"""The micro batch and the accumulation that make a wanted batch on some cards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import PlanError
from ..evidence.effective_batch import choose, nearest_accumulation, nearest_multiples
from ._numbers import read_numbers


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """What an optimizer step is made of, and how many there are."""

    micro_batch_size: int
    accumulation: int
    cards: int
    samples: float | None
    """Of a step over all cards: a mean under packing, where the lengths are known."""
    steps_an_epoch: int | None
    """None where the rows, or the samples of a step, are not known."""
    steps: int | None
    """Of the whole run."""

    @property
    def sequences(self) -> int:
        """Of a step over all cards: samples, or what they are packed into."""
        return self.micro_batch_size * self.accumulation * self.cards


def plan_batch(
    config: Mapping[str, Any],
    most: int,
    *,
    gpus: int = 1,
    rows: int | None = None,
    row_tokens: float | None = None,
) -> BatchPlan | None:
    """Divide the batch that a configuration wants into micro batches that fit.

    The wanted batch is `sftguide.effective_batch_size`, or what micro batch and
    accumulation make of each other in the configuration.

    Args:
        config: Of Axolotl.
        most: The largest micro batch that fits; at least 1.
        gpus: Cards that train on data of their own.
        rows: Of the training data.
        row_tokens: Mean tokens of a row: what a packed sequence holds follows from it.

    Returns:
        None where the batch hangs on rows or tokens that are not given.

    Raises:
        PlanError: With all numbers that are wrong, or where the batch does not divide
            by the cards.
    """
    number = read_numbers(config)
    packed: float | None = 1.0
    if config.get("sample_packing"):
        packed = row_tokens and max(1.0, number["sequence_len"] / row_tokens)
    asked = _asked(config)
    given = number["micro_batch_size"] * number["gradient_accumulation_steps"] * gpus
    if asked == "auto" and not rows:
        return None
    if asked == "auto" or (asked and config.get("sample_packing")):
        if packed is None:
            return None
        # The plugin keeps the micro batch and comes as near as whole ones do.
        kind = "adapter" if config.get("adapter") else "full"
        wanted = choose(rows or 1, kind).samples if asked == "auto" else int(asked)
        micro = min(most, number["micro_batch_size"])
        accumulation = nearest_accumulation(wanted, packed * micro * gpus)
    else:
        micro, accumulation = _divide(int(asked or given), most, gpus)
    samples = packed and micro * accumulation * gpus * packed
    an_epoch = math.ceil(rows / samples) if rows and samples else None
    steps = an_epoch and math.ceil(an_epoch * number["num_epochs"])
    if number["max_steps"] > 0:
        steps = min(steps or number["max_steps"], number["max_steps"])
    return BatchPlan(micro, accumulation, gpus, samples, an_epoch, steps)


def _asked(config: Mapping[str, Any]) -> Any:
    """`auto`, samples, or None; what is neither is for `sftguide check` to tell."""
    block = config.get("sftguide")
    asked = block.get("effective_batch_size") if isinstance(block, Mapping) else None
    whole = isinstance(asked, int) and not isinstance(asked, bool) and asked > 0
    return asked if whole or asked == "auto" else None


def _divide(sequences: int, most: int, gpus: int) -> tuple[int, int]:
    """The largest micro batch that makes exactly these, and its accumulation."""
    if sequences % gpus:
        raise PlanError(
            f"{sequences} samples a step do not divide by {gpus} cards; nearest: "
            f"{nearest_multiples(sequences, gpus)}"
        )
    for micro in range(min(most, sequences // gpus), 0, -1):
        if sequences % (micro * gpus) == 0:
            break
    return micro, sequences // (micro * gpus)
