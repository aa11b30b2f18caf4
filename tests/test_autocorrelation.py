"""Errors of means over steps that resemble their neighbours."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from loss_curves import autoregressive, run

from axolotl_sftguide.signals.autocorrelation import Moments, Noise, noise_of
from axolotl_sftguide.stopping.rules._window import Average, Window


def average_of(values: list[float], window: int = 16) -> Average:
    """The average that a rule reads at the last of some steps."""
    state = Window()
    observations = run(values, values)
    for observation in observations:
        state = state.add(observation, window)
    averages = state.averages(observations[-1], window)
    assert averages is not None
    return averages.grad_norm


@pytest.mark.parametrize("steps", [32, 64, 256])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_noise_alone_exceeds_two_errors_about_as_often_as_it_should(
    correlation: float, steps: int
) -> None:
    """Nominally 2.3%; errors of independent steps are exceeded by 26% at 0.8."""
    draw = random.Random(steps)
    rounds, exceeded = 500, 0
    for _ in range(rounds):
        made = average_of(autoregressive(draw, steps, correlation))
        exceeded += made.mean > made.limit(2.0)
    assert exceeded / rounds <= 0.045


def test_the_errors_of_independent_steps_are_exceeded_more_often() -> None:
    """Why they are not used."""
    draw = random.Random(1)
    exceeded = 0
    for _ in range(1000):
        values = autoregressive(draw, 16, 0.8)
        mean = fmean(values)
        spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / 15)
        exceeded += mean > 2 * spread / 4
    assert exceeded > 200


@pytest.mark.parametrize("window", [4, 16, 64])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_variance_of_a_mean_is_what_it_is_over_many_runs(
    correlation: float, window: int
) -> None:
    draw = random.Random(window)
    means = [fmean(autoregressive(draw, window, correlation)) for _ in range(4000)]
    true = math.fsum(m * m for m in means) / len(means)
    found = Noise(1.0, correlation).variance_of_mean(window)
    assert found == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_many_short_stretches_show_the_correlation(correlation: float) -> None:
    draw = random.Random(3)
    moments = Moments(16)
    for _ in range(1000):
        moments = moments.add(autoregressive(draw, 16, correlation))
    found = moments.noise()
    assert found.coefficient == pytest.approx(correlation, abs=0.03)
    assert found.variance == pytest.approx(1.0, rel=0.1)
    assert found.freedom > 500


def test_a_trend_is_not_taken_for_noise() -> None:
    draw = random.Random(4)
    moments = Moments(16)
    for i in range(100):
        moments = moments.add(
            [0.01 * (16 * i + k) + draw.gauss(0, 1) for k in range(16)]
        )
    assert moments.noise().variance == pytest.approx(1.0, rel=0.1)


def test_earlier_noise_is_forgotten() -> None:
    draw = random.Random(5)
    loud = [draw.gauss(0, 10) for _ in range(320)]
    quiet = [draw.gauss(0, 1) for _ in range(1600)]
    limit = average_of(loud + quiet).limit(3.0)
    assert limit == pytest.approx(average_of(quiet).limit(3.0), rel=0.1)


def test_before_the_first_whole_stretch_no_difference_is_large_enough() -> None:
    assert math.isinf(average_of([1.0, 2.0] * 4, window=4).limit(3.0))


def test_steps_without_noise_have_no_error() -> None:
    assert average_of([2.0] * 32).limit(3.0) == 0
    assert noise_of([1.0] * 20).variance == 0


def test_swinging_steps_are_treated_as_independent_ones() -> None:
    assert noise_of([1.0, -1.0] * 50).coefficient == 0


def test_stretches_of_unlike_length_show_the_correlation_together() -> None:
    draw = random.Random(6)
    lengths = [draw.randrange(12, 40) for _ in range(300)]
    found = noise_of(*(autoregressive(draw, n, 0.6) for n in lengths))
    assert found.coefficient == pytest.approx(0.6, abs=0.05)
    assert found.variance == pytest.approx(1.0, rel=0.1)


def test_equal_stretches_have_the_noise_of_their_moments() -> None:
    draw = random.Random(7)
    stretches = [autoregressive(draw, 16, 0.5) for _ in range(5)]
    moments = Moments(16)
    for stretch in stretches:
        moments = moments.add(stretch)
    one, other = noise_of(*stretches), moments.noise()
    assert one.variance == pytest.approx(other.variance)
    assert one.coefficient == pytest.approx(other.coefficient)
    assert one.freedom == pytest.approx(other.freedom)


def test_few_values_say_nothing_of_their_correlation() -> None:
    assert noise_of([1.0, 2.0, 3.0, 4.0]).coefficient == 0
    assert math.isinf(noise_of([1.0]).variance)
