"""The best evaluation of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Best:
    """The best evaluation of a run, and where its weights are."""

    metric: str
    value: float
    step: int
    checkpoint: str | None
    """The checkpoint of this step, or else the nearest; None if there is none."""
    loaded: bool = False
    """Whether the trainer itself loads its best checkpoint at the end."""
