"""Micro batch and accumulation for the requested batch size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import PlanError
from ..evidence.effective_batch import choose, nearest_accumulation, nearest_multiples
from ._numbers import read_numbers


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """How an optimizer step is made up, and how many steps there are."""

    micro_batch_size: int
    accumulation: int
    gpus: int
    samples: float | None
    """Samples per step over all GPUs; with packing a mean, None if unknown."""
    steps_an_epoch: int | None
    """None if the number of rows, or of samples per step, is unknown."""
    steps: int | None
    """Steps of the whole run; None if unknown."""

    @property
    def sequences(self) -> int:
        """Sequences per step over all GPUs: samples, or packed rows of samples."""
        return self.micro_batch_size * self.accumulation * self.gpus


def plan_batch(
    config: Mapping[str, Any],
    most: int,
    *,
    gpus: int = 1,
    rows: int | None = None,
    row_tokens: float | None = None,
    count: Callable[[int, int], int] | None = None,
) -> BatchPlan | None:
    """Divide the requested batch into micro batches that fit.

    The requested batch size is `sftguide.effective_batch_size`, or else the product of
    the config's `micro_batch_size`, `gradient_accumulation_steps` and the number of
    GPUs.

    Args:
        config: Axolotl's config.
        most: The largest micro batch that fits; at least 1.
        gpus: Number of data-parallel GPUs.
        rows: Number of training rows.
        row_tokens: Mean number of tokens per row, for packing.
        count: Counts the steps of the run for a micro batch and an accumulation; if
            given, it replaces the estimate from `rows` and `row_tokens`.

    Returns:
        None if the batch depends on `rows` or `row_tokens`, and they are not given.

    Raises:
        PlanError: With every wrong number, or if the batch size is not a multiple of
            the number of GPUs.
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
        # The plugin keeps the micro batch, and takes the nearest accumulation.
        kind = "adapter" if config.get("adapter") else "full"
        wanted = choose(rows or 1, kind).samples if asked == "auto" else int(asked)
        micro = min(most, number["micro_batch_size"])
        accumulation = nearest_accumulation(wanted, packed * micro * gpus)
    else:
        micro, accumulation = _divide(int(asked or given), most, gpus)
    samples = packed and micro * accumulation * gpus * packed
    an_epoch = math.ceil(rows / samples) if rows and samples else None
    steps = _steps(number, samples, rows)
    if number["max_steps"] > 0:
        steps = int(number["max_steps"])
    elif count is not None:
        steps = count(micro, accumulation)
        an_epoch = math.ceil(steps / number["num_epochs"])
    return BatchPlan(micro, accumulation, gpus, samples, an_epoch, steps)


def _steps(
    number: Mapping[str, Any], samples: float | None, rows: int | None
) -> int | None:
    """Steps of the whole run, as Axolotl counts them for rows that are not packed."""
    if not rows or not samples:
        return None
    return math.ceil(rows * float(number["num_epochs"]) / samples)


def _asked(config: Mapping[str, Any]) -> Any:
    """`auto`, a number of samples, or None; `sftguide check` reports anything else."""
    block = config.get("sftguide")
    asked = block.get("effective_batch_size") if isinstance(block, Mapping) else None
    whole = isinstance(asked, int) and not isinstance(asked, bool) and asked > 0
    return asked if whole or asked == "auto" else None


def _divide(sequences: int, most: int, gpus: int) -> tuple[int, int]:
    """The largest micro batch that divides the batch, and its accumulation."""
    if sequences % gpus:
        raise PlanError(
            f"{sequences} samples per step is not a multiple of {gpus} GPUs; nearest: "
            f"{nearest_multiples(sequences, gpus)}"
        )
    for micro in range(min(most, sequences // gpus), 0, -1):
        if sequences % (micro * gpus) == 0:
            break
    return micro, sequences // (micro * gpus)
