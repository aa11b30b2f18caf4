"""The noise scale against gradients whose noise is known."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from axolotl_sftguide.signals import Observation
from axolotl_sftguide.signals.noise_scale import (
    LEAST_STEPS,
    WINDOW,
    estimate,
    noise_in_squared_norm,
    noise_scale_logs,
)

DIMENSIONS = 40
SIGNAL = [0.25] * DIMENSIONS  # |G|^2 = 2.5
TOKEN_VARIANCE = 1.0  # of each token's gradient, in each dimension


def step(
    draw: random.Random, tokens: Sequence[int], weights: Sequence[float]
) -> tuple[float, float, float]:
    """One accumulated step: `sum |G_i|^2`, `|g|^2` and `q`."""
    total = [0.0] * DIMENSIONS
    squares = 0.0
    for count, weight in zip(tokens, weights, strict=True):
        sigma = math.sqrt(TOKEN_VARIANCE / count)
        own = [weight * (g + draw.gauss(0, sigma)) for g in SIGNAL]
        squares += sum(x * x for x in own)
        total = [t + x for t, x in zip(total, own, strict=True)]
    return squares, sum(x * x for x in total), sum(w * w for w in weights)


def token_shares(tokens: Sequence[int]) -> list[float]:
    return [t / sum(tokens) for t in tokens]


def equal_shares(tokens: Sequence[int]) -> list[float]:
    return [1 / len(tokens)] * len(tokens)


@pytest.mark.parametrize("shares", [token_shares, equal_shares])
@pytest.mark.parametrize("counts", [(4, 4, 4, 4), (1, 2, 3, 60), (1, 1, 30, 2, 2, 30)])
def test_the_noise_is_right_whatever_the_lengths_and_the_weights(
    shares: object, counts: tuple[int, ...]
) -> None:
    draw = random.Random(1)
    weights = shares(counts)  # type: ignore[operator]
    true = (
        DIMENSIONS
        * TOKEN_VARIANCE
        * sum(w * w / t for w, t in zip(weights, counts, strict=True))
    )
    found = [noise_in_squared_norm(*step(draw, counts, weights)) for _ in range(1500)]
    assert math.fsum(found) / len(found) == pytest.approx(true, rel=0.05)


def test_the_two_batch_formula_is_wrong_there() -> None:
    """Why it is not used: equal weights are assumed where the lengths differ."""
    draw = random.Random(1)
    counts = (1, 2, 3, 60)
    weights = token_shares(counts)
    true = DIMENSIONS * TOKEN_VARIANCE / sum(counts)
    found = []
    for _ in range(1500):
        squares, norm, _ = step(draw, counts, weights)
        n = len(counts)
        small, big = n * squares, norm  # mean |n G_i|^2 over n batches
        found.append((small - big) / (n - 1))
    assert abs(math.fsum(found) / len(found) / true - 1) > 0.5


def test_a_single_micro_batch_gives_no_estimate() -> None:
    assert noise_in_squared_norm(2.0, 2.0, 1.0) is None


def run(
    steps: int, seed: int = 0, micro: int = 8, signal: float = 1.0
) -> list[Observation]:
    draw = random.Random(seed)
    global SIGNAL
    kept, SIGNAL = SIGNAL, [signal * g for g in SIGNAL]
    try:
        found = []
        for i in range(1, steps + 1):
            counts = [draw.choice((1, 2, 30)) for _ in range(micro)]
            squares, norm, q = step(draw, counts, token_shares(counts))
            noise = noise_in_squared_norm(squares, norm, q)
            found.append(
                Observation(i, i * micro, 1.0, math.sqrt(norm), 1e-3, grad_noise=noise)
            )
        return found
    finally:
        SIGNAL = kept


def test_signal_and_noise_come_apart() -> None:
    found = estimate(run(WINDOW))
    assert found is not None
    assert found.signal == pytest.approx(2.5, rel=0.1)
    assert found.batch_size == 8
    assert found.simple == pytest.approx(found.trace / found.signal)
    assert found.simple_low < found.simple < found.simple_high


def test_the_interval_covers_the_true_value_at_its_level() -> None:
    whole = estimate(run(WINDOW, seed=999))
    many = [estimate(run(64, seed)) for seed in range(150)]
    assert whole is not None
    true = _truth()
    inside = sum(e is not None and e.simple_low <= true <= e.simple_high for e in many)
    assert 0.88 <= inside / len(many) <= 1.0


def correlated(seed: int, correlation: float, steps: int = 64) -> list[Observation]:
    """Measurements around a signal of 2.5 and a noise of 2, each like the last one."""
    draw = random.Random(seed)
    fresh = math.sqrt(1 - correlation**2)
    first, second = draw.gauss(0, 1), draw.gauss(0, 1)
    found = []
    for i in range(1, steps + 1):
        noise, norm = 2.0 + 0.3 * first, math.sqrt(max(0.0, 4.5 + 0.6 * second))
        found.append(Observation(i, 8 * i, 1.0, norm, 1e-3, grad_noise=noise))
        first = correlation * first + fresh * draw.gauss(0, 1)
        second = correlation * second + fresh * draw.gauss(0, 1)
    return found


@pytest.mark.parametrize("steps", [LEAST_STEPS, 64, WINDOW])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_interval_covers_the_true_value_if_steps_are_correlated(
    correlation: float, steps: int
) -> None:
    true = 8 * 2.0 / 2.5
    many = [estimate(correlated(seed, correlation, steps)) for seed in range(300)]
    inside = sum(e is not None and e.simple_low <= true <= e.simple_high for e in many)
    assert 0.925 <= inside / len(many) <= 1.0


def _truth() -> float:
    """`B E[noise] / |G|^2` over the lengths that `run` draws, by brute force."""
    draw = random.Random(7)
    total = 0.0
    for _ in range(20_000):
        counts = [draw.choice((1, 2, 30)) for _ in range(8)]
        total += DIMENSIONS * TOKEN_VARIANCE / sum(counts)
    return 8 * total / 20_000 / 2.5


def test_without_a_signal_the_interval_has_no_upper_end() -> None:
    found = estimate(run(64, signal=0.0))
    assert found is not None
    assert math.isinf(found.simple_high)
    assert "larger batch would still reduce gradient noise" in found.advice()


def test_a_clearly_negative_signal_is_said_and_nothing_is_advised() -> None:
    """A squared norm is never negative: these micro batches were not drawn alike."""
    steps = [replace(o, grad_noise=o.grad_norm**2 + 1.0) for o in run(64)]
    found = estimate(steps)
    assert found is not None
    assert found.advice().startswith("noise scale not known: the squared norm")
    assert "batch would" not in found.advice()
    assert set(noise_scale_logs(found)) == {"sftguide/grad_variance"}


@pytest.mark.parametrize("seed", range(5))
def test_where_the_batch_is_within_a_wide_interval_nothing_is_advised(
    seed: int,
) -> None:
    """The noise scale may be far below or far above this batch."""
    draw = random.Random(seed)
    norms = [math.sqrt(draw.expovariate(1 / 3)) for _ in range(24)]
    found = estimate(
        Observation(i, 8 * i, 1.0, norm, 1e-3, grad_noise=2.0)
        for i, norm in enumerate(norms, start=1)
    )
    assert found is not None
    assert found.simple_low < found.batch_size < found.simple_high
    assert found.withheld is not None
    assert "samples or more) is too wide after 24 measured steps" in found.advice()
    assert "batch would" not in found.advice()
    assert "sftguide/noise_scale" not in noise_scale_logs(found)


def test_a_batch_beyond_the_noise_scale_gets_advice() -> None:
    found = estimate(run(WINDOW, micro=64, signal=3.0))
    assert found is not None
    assert found.batch_size > found.simple_high
    assert "beyond the noise scale gain little" in found.advice()


def test_too_few_or_unmeasured_steps_give_no_estimate() -> None:
    assert estimate(run(LEAST_STEPS - 1)) is None
    assert estimate(run(LEAST_STEPS)) is not None
    plain = [Observation(i, 8 * i, 1.0, 1.0, 1e-3) for i in range(1, 99)]
    assert estimate(plain) is None
    assert estimate([]) is None


def test_steps_without_a_measurement_between_do_not_disturb() -> None:
    every = run(WINDOW)
    some = [
        o if o.step % 4 == 0 else Observation(o.step, o.samples_seen, 1.0, 1.0, 1e-3)
        for o in every
    ]
    found = estimate(some)
    assert found is not None
    assert found.steps == WINDOW // 4
    assert found.batch_size == 8
