"""Samples per optimizer step: how they are made up, and how many to use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import Problem, SettingsError
from .claims import CLAIMS

KEY = "sftguide.effective_batch_size"


@dataclass(frozen=True, slots=True)
class Choice:
    """An effective batch size, and the claims behind it."""

    samples: int
    claims: tuple[str, ...]
    """Keys of claims."""


def choose(rows: int, training: str) -> Choice:
    """The effective batch size that the evidence recommends.

    Args:
        rows: Number of training rows.
        training: `full` or `adapter`.
    """
    if training == "adapter":
        low, high = 16, CLAIMS["adapter-batch"].high
        samples = low if rows < 10_000 else int(high or low)
        claims: tuple[str, ...] = ("adapter-batch", "adapter-batch-grows")
    else:
        keys = ("full-batch-tiny", "full-batch-small", "full-batch-medium")
        key = next(
            (k for k in keys if CLAIMS[k].setting.holds(training, rows)), "large-batch"
        )
        samples, claims = int(CLAIMS[key].low or 1), (key,)
    return Choice(min(samples, max(rows, 1)), claims)


def accumulation(samples: int, micro_batch_size: int, ranks: int) -> int:
    """Micro batches that each rank accumulates per step, without packing.

    Args:
        samples: Wanted samples per optimizer step, over all ranks.
        micro_batch_size: Rows per micro batch.
        ranks: Number of data-parallel ranks.

    Raises:
        SettingsError: If the samples are not a multiple of what all ranks process at
            once; it names the nearest multiples.
    """
    together = micro_batch_size * ranks
    if samples % together == 0:
        return samples // together
    product = f"{factors(micro_batch_size, ranks)} = {together}"
    message = f"must be a multiple of {product}, got {samples}"
    remedy = f"nearest: {nearest_multiples(samples, together)}"
    raise SettingsError([Problem(KEY, message, remedy)])


def nearest_multiples(samples: int, together: int) -> str:
    """The multiples below and above, such as `96 or 128`."""
    below, above = samples // together * together, -(-samples // together) * together
    return f"{below} or {above}" if below else str(above)


def nearest_accumulation(samples: int, samples_a_micro_step: float) -> int:
    """The number of micro steps whose samples are nearest to the requested number.

    Args:
        samples: Wanted samples per optimizer step, over all ranks.
        samples_a_micro_step: Mean samples per micro step, over all ranks.
    """
    return max(1, math.floor(samples / samples_a_micro_step + 0.5))


def require_enough_rows(samples: int, rows: int) -> None:
    """Check that a step does not have more samples than the data.

    Raises:
        SettingsError: If it has.
    """
    if samples > rows:
        message = (
            f"must be at most the {rows} rows of the prepared training data, got "
            f"{samples}"
        )
        raise SettingsError([Problem(KEY, message, f"nearest: {rows}")])


def factors(micro_batch_size: int, ranks: int) -> str:
    """The samples of a micro step as a product."""
    return f"micro_batch_size {micro_batch_size} x {ranks} rank{'s' * (ranks > 1)}"
