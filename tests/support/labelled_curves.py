"""Made-up training curves with a label: what a person would say of the run.

Every kind draws its length, level, noise and speed at random. Noise is relative to the
level, and correlated from step to step by up to 0.8.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from axolotl_sftguide.signals import Observation


@dataclass(frozen=True)
class LabelledCurve:
    kind: str
    label: str
    """`healthy`, `diverged`, `idle` (the learning rate does nothing) or `broken`
    (nothing can be learned: no loss, no gradient, no tokens, or NaN)."""
    steps: int
    observations: tuple[Observation, ...]


@dataclass(frozen=True)
class _World:
    """What all kinds have in common."""

    draw: random.Random
    steps: int
    start: float
    noise: float
    correlation: float

    def at(self, share: float) -> int:
        return round(share * self.steps)

    def noisy(self, levels: Sequence[float]) -> list[float]:
        fresh = math.sqrt(1 - self.correlation**2)
        error, values = self.draw.gauss(0, self.noise), []
        for level in levels:
            values.append(level * math.exp(error - self.noise**2 / 2))
            error = self.correlation * error + fresh * self.draw.gauss(0, self.noise)
        return values

    def decay(self, end: float, tau: float, steps: int | None = None) -> list[float]:
        """From 1 to `end`, with a time constant of a share of the run."""
        tau = max(1.0, tau * self.steps)
        return [
            end + (1 - end) * math.exp(-i / tau) for i in range(steps or self.steps)
        ]


def labelled_curves(count: int, seed: int = 0) -> Iterator[LabelledCurve]:
    """`count` curves of every kind."""
    for kind, (label, make) in KINDS.items():
        for index in range(count):
            draw = random.Random(f"{seed}/{kind}/{index}")
            steps = round(math.exp(draw.uniform(math.log(60), math.log(2000))))
            world = _World(
                draw,
                steps,
                start=draw.uniform(0.9, 3.0),
                noise=math.exp(draw.uniform(math.log(0.02), math.log(0.2))),
                correlation=draw.choice([0.0, 0.0, 0.3, 0.6, 0.8]),
            )
            yield LabelledCurve(kind, label, steps, tuple(make(world)))


def _observe(
    world: _World,
    losses: Sequence[float],
    norms: Sequence[float] | None = None,
    rates: Sequence[float] | None = None,
) -> list[Observation]:
    norms = world.noisy([1.0] * len(losses)) if norms is None else norms
    rates = [1e-5] * len(losses) if rates is None else rates
    return [
        Observation(i, 8 * i, loss, norm, rate, trained_tokens=500)
        for i, (loss, norm, rate) in enumerate(
            zip(losses, norms, rates, strict=True), start=1
        )
    ]


def _levels(world: _World, levels: Sequence[float]) -> list[Observation]:
    return _observe(world, world.noisy([world.start * level for level in levels]))


def _falls_fast(world: _World) -> list[Observation]:
    end = world.draw.uniform(0.3, 0.85)
    return _levels(world, world.decay(end, world.draw.uniform(0.01, 0.1)))


def _falls_slowly(world: _World) -> list[Observation]:
    end = world.draw.uniform(0.3, 0.75)
    return _levels(world, world.decay(end, world.draw.uniform(0.2, 0.7)))


def _falls_a_little(world: _World) -> list[Observation]:
    end = world.draw.uniform(0.88, 0.95)
    return _levels(world, world.decay(end, world.draw.uniform(0.02, 0.3)))


def _falls_at_once(world: _World) -> list[Observation]:
    """The whole drop lies within the first few steps."""
    end = world.draw.uniform(0.4, 0.8)
    tau = world.draw.uniform(1, 4) / world.steps
    return _levels(world, world.decay(end, tau))


def _epochs(world: _World) -> list[Observation]:
    count, drop = world.draw.randint(2, 4), world.draw.uniform(0.6, 0.85)
    fall = world.decay(world.draw.uniform(0.7, 0.9), 0.03)
    levels = [
        level * drop ** (i * count // world.steps) for i, level in enumerate(fall)
    ]
    return _levels(world, levels)


def _warmup(world: _World) -> list[Observation]:
    warm = world.at(world.draw.uniform(0.03, 0.2))
    fall = world.decay(world.draw.uniform(0.4, 0.8), 0.1, world.steps - warm)
    return _levels(world, [1.0] * warm + fall)


def _spikes(world: _World) -> list[Observation]:
    levels = world.decay(world.draw.uniform(0.4, 0.8), 0.1)
    for _ in range(world.draw.randint(1, 4)):
        at, height = world.draw.randrange(world.steps), world.draw.uniform(1.5, 8)
        tau = world.draw.uniform(1, 8)
        for i in range(at, min(world.steps, at + 60)):
            levels[i] *= 1 + (height - 1) * math.exp(-(i - at) / tau)
    return _levels(world, levels)


def _phases(world: _World) -> list[Observation]:
    """Each phase begins near the level at which the run began."""
    borders = sorted(world.draw.sample(range(3, 9), world.draw.randint(1, 2)))
    edges = [0, *(world.at(b / 10) for b in borders), world.steps]
    levels: list[float] = []
    for first, last in pairwise(edges):
        height = world.draw.uniform(0.8, 1.1)
        end, tau = world.draw.uniform(0.4, 0.8), world.draw.uniform(0.02, 0.15)
        levels += [height * v for v in world.decay(end, tau, last - first)]
    return _levels(world, levels)


def _plateau_then_drop(world: _World) -> list[Observation]:
    flat = world.at(world.draw.uniform(0.2, 0.35))
    fall = world.decay(world.draw.uniform(0.4, 0.8), 0.1, world.steps - flat)
    return _levels(world, [1.0] * flat + fall)


def _oscillates(world: _World) -> list[Observation]:
    fall = world.decay(world.draw.uniform(0.4, 0.75), 0.15)
    period, swing = world.draw.uniform(8, 80), world.draw.uniform(0.05, 0.25)
    levels = [
        v * (1 + swing * math.sin(i / period * 6.283)) for i, v in enumerate(fall)
    ]
    return _levels(world, levels)


def _memorises(world: _World) -> list[Observation]:
    """Down to almost zero, where the noise is many times the level."""
    end = 10 ** world.draw.uniform(-4, -2)
    noisy = replace(world, noise=max(0.3, 3 * world.noise))
    return _levels(noisy, world.decay(end, world.draw.uniform(0.03, 0.1)))


def _negative(world: _World) -> list[Observation]:
    """The loss of a density, which crosses zero on its way down."""
    fall = world.decay(0.0, world.draw.uniform(0.05, 0.3))
    errors = [v - 1 for v in world.noisy([1.0] * world.steps)]
    low = world.draw.uniform(0.5, 3)
    losses = [4 * v - low + e for v, e in zip(fall, errors, strict=True)]
    return _observe(world, losses)


def _loss_scaling(world: _World) -> list[Observation]:
    """fp16: the first steps overflow and are skipped, and later a few more."""
    first = world.draw.randint(1, 20)
    skipped = {*range(first), *(world.draw.randrange(world.steps) for _ in range(3))}
    end = world.draw.uniform(0.3, 0.85)
    fall, taken, levels = world.decay(end, world.draw.uniform(0.01, 0.1)), 0, []
    for i in range(world.steps):
        levels.append(fall[taken])  # a skipped step changes no weight
        taken += i not in skipped
    return [
        replace(o, grad_norm=math.inf, skipped=True) if i in skipped else o
        for i, o in enumerate(_levels(world, levels))
    ]


def _norm_grows(world: _World) -> list[Observation]:
    losses = world.noisy([world.start * v for v in world.decay(0.6, 0.1)])
    height = world.draw.uniform(3, 100)
    norms = world.noisy([height ** (i / world.steps) for i in range(world.steps)])
    return _observe(world, losses, norms)


def _until(world: _World, share: float) -> list[float]:
    return world.decay(world.draw.uniform(0.4, 0.8), 0.1, world.at(share))


def _diverges_fast(world: _World) -> list[Observation]:
    """To a level well above the start, such as that of uniform guesses."""
    before = _until(world, world.draw.uniform(0.1, 0.6))
    height, rise = world.draw.uniform(1.4, 6), world.draw.uniform(1, 8)
    left = world.steps - len(before)
    after = [
        before[-1] + (height - before[-1]) * (1 - math.exp(-i / rise))
        for i in range(left)
    ]
    norms = world.noisy([1.0] * len(before) + [world.draw.uniform(1, 30)] * left)
    losses = world.noisy([world.start * v for v in before + after])
    return _observe(world, losses, norms)


def _diverges_slowly(world: _World) -> list[Observation]:
    before = _until(world, world.draw.uniform(0.1, 0.4))
    height, climb = world.draw.uniform(1.3, 3), world.draw.uniform(0.1, 0.3)
    after = [
        before[-1] + (height - before[-1]) * min(1.0, i / (climb * world.steps))
        for i in range(world.steps - len(before))
    ]
    return _levels(world, before + after)


def _diverges_from_scratch(world: _World) -> list[Observation]:
    """Back to the level of word frequencies, which is below that of the first step."""
    before = world.decay(world.draw.uniform(0.25, 0.4), 0.1, world.at(0.4))
    height, rise = world.draw.uniform(0.65, 0.8), world.draw.uniform(1, 20)
    left = world.steps - len(before)
    after = [
        before[-1] + (height - before[-1]) * (1 - math.exp(-i / rise))
        for i in range(left)
    ]
    quiet = replace(world, noise=min(0.05, world.noise))
    return _levels(replace(quiet, start=10.4), before + after)


def _swings_apart(world: _World) -> list[Observation]:
    before = _until(world, world.draw.uniform(0.1, 0.5))
    period = world.draw.uniform(4, 20)
    after = [
        before[-1]
        + 2
        * min(1.0, i / (0.15 * world.steps))
        * (1 + 0.7 * math.sin(i / period * 6.283))
        for i in range(world.steps - len(before))
    ]
    return _levels(world, before + after)


def _idle(world: _World) -> list[Observation]:
    """A learning rate so low that nothing changes."""
    return _levels(world, [1.0] * world.steps)


def _rate_of_zero(world: _World) -> list[Observation]:
    losses = world.noisy([world.start] * world.steps)
    return _observe(world, losses, rates=[0.0] * world.steps)


def _zero_loss(world: _World) -> list[Observation]:
    """All labels are masked, in a log without gradient norms."""
    observed = _observe(world, [0.0] * world.steps, norms=[math.nan] * world.steps)
    return [replace(o, measured=False, trained_tokens=None) for o in observed]


def _zero_norm(world: _World) -> list[Observation]:
    losses = world.noisy([world.start] * world.steps)
    return _observe(world, losses, norms=[0.0] * world.steps)


def _no_tokens(world: _World) -> list[Observation]:
    observed = _observe(world, [math.nan] * world.steps, norms=[0.0] * world.steps)
    return [replace(o, trained_tokens=0) for o in observed]


def _nan(world: _World) -> list[Observation]:
    observed = _falls_fast(world)
    first = world.at(world.draw.uniform(0.05, 0.6))
    return [
        replace(o, loss=math.nan, grad_norm=math.nan) if i >= first else o
        for i, o in enumerate(observed)
    ]


KINDS: dict[str, tuple[str, Callable[[_World], list[Observation]]]] = {
    "falls fast": ("healthy", _falls_fast),
    "falls slowly": ("healthy", _falls_slowly),
    "falls a little": ("healthy", _falls_a_little),
    "falls at once": ("healthy", _falls_at_once),
    "falls at each epoch": ("healthy", _epochs),
    "long warmup": ("healthy", _warmup),
    "spikes that recover": ("healthy", _spikes),
    "phases": ("healthy", _phases),
    "plateau, then drop": ("healthy", _plateau_then_drop),
    "oscillates": ("healthy", _oscillates),
    "memorises": ("healthy", _memorises),
    "negative loss": ("healthy", _negative),
    "fp16 loss scaling": ("healthy", _loss_scaling),
    "growing norm": ("healthy", _norm_grows),
    "diverges fast": ("diverged", _diverges_fast),
    "diverges slowly": ("diverged", _diverges_slowly),
    "diverges to word frequencies": ("diverged", _diverges_from_scratch),
    "swings apart": ("diverged", _swings_apart),
    "rate too low": ("idle", _idle),
    "rate of zero": ("idle", _rate_of_zero),
    "loss of zero": ("broken", _zero_loss),
    "norm of zero": ("broken", _zero_norm),
    "no trained tokens": ("broken", _no_tokens),
    "NaN": ("broken", _nan),
}
