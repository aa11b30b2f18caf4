"""Made-up curves, the same for the same seed."""

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


def fine_tuning(
    seed: int,
    *,
    start: float = 1.3,
    end: float = 1.1,
    steps_of_decay: float = 100,
    noise: float = 0.15,
    correlation: float = 0.0,
    steps: int = 300,
) -> list[float]:
    """The loss of a healthy fine-tuning run: a small drop in much noise.

    The noise of a step is added; with a correlation it depends on the step before, as
    it does where neighbouring batches are alike.
    """
    draw = random.Random(seed)
    fresh = math.sqrt(1 - correlation**2)
    error, losses = draw.gauss(0, noise), []
    for step in range(steps):
        level = end + (start - end) * math.exp(-step / steps_of_decay)
        losses.append(max(0.01, level + error))
        error = correlation * error + fresh * draw.gauss(0, noise)
    return losses


def autoregressive(draw: random.Random, steps: int, correlation: float) -> list[float]:
    """Values of mean 0 and variance 1, each correlated with the one before it."""
    fresh = math.sqrt(1 - correlation**2)
    values = [draw.gauss(0, 1)]
    while len(values) < steps:
        values.append(correlation * values[-1] + fresh * draw.gauss(0, 1))
    return values
