"""Curves as they are met, made up with a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

from axolotl_sftguide.signals import Observation


def run(
    losses: Iterable[float], norms: Iterable[float] | None = None
) -> list[Observation]:
    losses = list(losses)
    norms = [1.0] * len(losses) if norms is None else list(norms)
    return [
        Observation(i, 8 * i, loss, norm, 1e-3, trained_tokens=100)
        for i, (loss, norm) in enumerate(zip(losses, norms, strict=True), start=1)
    ]


def learning(
    steps: int = 400, seed: int = 0, floor: float = 0.8, noise: float = 0.15
) -> list[float]:
    """A loss that falls from 2.8 to `floor`, with noise that is now and then heavy."""
    draw = random.Random(seed)
    losses = []
    for step in range(steps):
        sigma = noise * (4 if draw.random() < 0.02 else 1)
        level = floor + 2 * math.exp(-step / 60)
        losses.append(max(0.01, level * math.exp(draw.gauss(0, sigma))))
    return losses
