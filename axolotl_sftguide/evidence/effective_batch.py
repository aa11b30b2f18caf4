"""Samples of one optimizer step: what makes them up, and how many to ask for (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import Problem, SettingsError
from .claims import CLAIMS

KEY = "sftguide.effective_batch_size"


@dataclass(frozen=True, slots=True)
class Choice:
    """A batch for some data, and the claims that it rests on."""

    samples: int
    because: tuple[str, ...]
    """Keys of claims."""


def choose(rows: int, training: str) -> Choice:
    """The effective batch size that the evidence points to.

    Args:
        rows: Of the training data.
        training: `full` or `adapter`.
    """
    if training == "adapter":
        low, high = 16, CLAIMS["adapter-batch"].high
        samples = low if rows < 10_000 else int(high or low)
        because: tuple[str, ...] = ("adapter-batch", "adapter-batch-grows")
    else:
        keys = ("full-batch-tiny", "full-batch-small", "full-batch-medium")
        key = next(
            (k for k in keys if CLAIMS[k].setting.holds(training, rows)), "large-batch"
        )
        samples, because = int(CLAIMS[key].low or 1), (key,)
    return Choice(min(samples, max(rows, 1)), because)


def accumulation(samples: int, micro_batch_size: int, ranks: int) -> int:
    """Micro batches that a step accumulates on each rank, without packing.

    Args:
        samples: Wanted in one optimizer step, over all ranks.
        micro_batch_size: Rows of one micro batch.
        ranks: Data-parallel ranks.

    Raises:
        SettingsError: Where it does not come out even; it names the nearest that do.
    """
    together = micro_batch_size * ranks
    if samples % together == 0:
        return samples // together
    product = f"{factors(micro_batch_size, ranks)} = {together}"
    message = f"must be a multiple of {product}, got {samples}"
    remedy = f"nearest: {nearest_multiples(samples, together)}"
    raise SettingsError([Problem(KEY, message, remedy)])


def nearest_multiples(samples: int, together: int) -> str:
    """In words, what comes out even below and above."""
    below, above = samples // together * together, -(-samples // together) * together
    return f"{below} or {above}" if below else str(above)


def nearest_accumulation(samples: int, samples_a_micro_step: float) -> int:
    """Micro steps that come nearest to the wanted samples.

    Args:
        samples: Wanted in one optimizer step, over all ranks.
        samples_a_micro_step: Mean over all ranks together; packed rows hold several.
    """
    return max(1, math.floor(samples / samples_a_micro_step + 0.5))


def refuse_more_than_there_are(samples: int, rows: int) -> None:
    """A step cannot hold more samples than the data.

    Raises:
        SettingsError: Where it should.
    """
    if samples > rows:
        message = (
            f"must be at most the {rows} rows that the training data hold after "
            f"preparation, got {samples}"
        )
        raise SettingsError([Problem(KEY, message, f"nearest: {rows}")])


def factors(micro_batch_size: int, ranks: int) -> str:
    """The product of what a micro step is made of, in words."""
    return f"micro_batch_size {micro_batch_size} x {ranks} rank{'s' * (ranks > 1)}"
