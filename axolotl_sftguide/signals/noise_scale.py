"""The gradient noise scale, from the micro batches of ordinary steps (pure).

An accumulated gradient is `g = sum G_i`, with `G_i` the contribution of micro batch
`i`. Let `w_i` be the share of the mean that it carries (its trained tokens over those
of the step; one over their number where micro-batch means are averaged), and
`q = sum w_i^2`. Micro batches are independent draws, so with the true gradient `G`

    E |G_i|^2 = w_i^2 |G|^2 + noise_i        E |g|^2 = |G|^2 + sum noise_i

and `(sum |G_i|^2 - q |g|^2) / (1 - q)` has the expectation `sum noise_i` whatever the
weights, while the two-batch formula of arXiv 1812.06162 (appendix A.1) takes them to
be equal. With `B` samples a step, `tr(S) = B x noise` is the variance of one sample's
gradient, and `tr(S) / |G|^2` the simple noise scale (its section 2.2): the batch size,
in samples, at which noise and signal in `|g|^2` are equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .observations import Observation

LEAST_STEPS = 16
"""Fewer measured steps give no estimate."""

WINDOW = 256
"""Measured steps that an estimate is made of: the noise scale grows as a run learns."""

_START = Observation(0, 0, 0.0, 0.0, 0.0)
_Z_95 = 1.959964


def noise_in_squared_norm(
    sum_of_squares: float, squared_norm: float, weights_squared: float
) -> float | None:
    """The noise in `|g|^2` of one step: `sum |G_i|^2`, `|g|^2` and `q` in, one out.

    It may be negative: single steps are noisy. None where one micro batch is all.
    """
    rest = 1.0 - weights_squared
    if rest < 1e-6:
        return None
    return (sum_of_squares - weights_squared * squared_norm) / rest


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """An estimate over some steps; the interval is of 95%."""

    steps: int
    """Measured steps it was made of."""
    batch_size: float
    """Mean samples of a step."""
    trace: float
    """`tr(S)`: the variance of one sample's gradient."""
    signal: float
    """`|G|^2`; may be negative where noise is all that is seen."""
    simple: float
    """`tr(S) / |G|^2` in samples; infinite where no signal is seen."""
    simple_low: float
    simple_high: float
    """Infinite where the signal cannot be told from zero."""

    def norm_at(self, batch_size: float) -> float:
        """The gradient norm that steps of `batch_size` samples would have had."""
        return math.sqrt(max(0.0, self.signal + self.trace / batch_size))

    def advice(self) -> str:
        """One sentence on the batch size."""
        low, high = _samples(self.simple_low), _samples(self.simple_high)
        now = f"a step has {_samples(self.batch_size)} samples"
        if math.isinf(self.simple_high):
            return (
                f"the noise scale is above {low} samples and {now}: a larger batch "
                "still takes noise out of the step"
            )
        between = f"noise scale {_samples(self.simple)} samples ({low} to {high})"
        if self.batch_size > self.simple_high:
            return f"{between}, {now}: more samples a step than that buy little"
        return f"{between}, {now}"


def estimate(observations: Iterable[Observation]) -> NoiseScale | None:
    """The noise scale over the last measured steps, or None where there are too few.

    `tr(S)` and `|G|^2` are averaged over the steps before they are divided. The
    interval of their ratio is Fieller's, which knows that a ratio is unbounded where
    its denominator may be zero.
    """
    noise, signal, sizes = [], [], []
    for previous, o in pairwise([_START, *observations]):
        if o.step != previous.step + 1:
            continue
        samples = o.samples_seen - previous.samples_seen
        if o.grad_noise is None or not (o.finite and o.measured) or samples <= 0:
            continue
        noise.append(samples * o.grad_noise)
        signal.append(o.grad_norm**2 - o.grad_noise)
        sizes.append(samples)
    noise, signal, sizes = noise[-WINDOW:], signal[-WINDOW:], sizes[-WINDOW:]
    if len(noise) < LEAST_STEPS:
        return None
    trace, square = _mean(noise), _mean(signal)
    low, high = _fieller(noise, signal)
    simple = trace / square if square > 0 else math.inf
    return NoiseScale(
        len(noise), _mean(sizes), trace, square, max(0.0, simple), low, high
    )


def noise_scale_logs(found: NoiseScale | None) -> dict[str, float]:
    """What is published of an estimate; bounds that are infinite are left out."""
    if found is None:
        return {}
    logs = {
        "sftguide/noise_scale": found.simple,
        "sftguide/noise_scale_low": found.simple_low,
        "sftguide/noise_scale_high": found.simple_high,
        "sftguide/grad_variance": found.trace,
    }
    return {name: value for name, value in logs.items() if math.isfinite(value)}


def _fieller(above: Sequence[float], below: Sequence[float]) -> tuple[float, float]:
    """The interval of `mean(above) / mean(below)`, cut at zero."""
    n = len(above)
    a, b = _mean(above), _mean(below)
    t = _student(n - 1)
    t2 = t * t / n
    va, vb = _covariance(above, above), _covariance(below, below)
    vab = _covariance(above, below)
    # All ratios r with (a - r b)^2 <= t2 (va - 2 r vab + r^2 vb)
    x, y, z = b * b - t2 * vb, a * b - t2 * vab, a * a - t2 * va
    root = math.sqrt(max(0.0, y * y - x * z))
    if x > 0:
        return (0.0, 0.0) if b < 0 else (max(0.0, (y - root) / x), (y + root) / x)
    if z <= 0 or x == 0:
        return 0.0, math.inf
    return max((y - root) / x, (y + root) / x, 0.0), math.inf


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _covariance(one: Sequence[float], two: Sequence[float]) -> float:
    a, b = _mean(one), _mean(two)
    return math.fsum((x - a) * (y - b) for x, y in zip(one, two, strict=True)) / (
        len(one) - 1
    )


def _student(freedom: int) -> float:
    """The 97.5% point of Student's t, by its expansion around the normal one."""
    z = _Z_95
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    )


def _samples(value: float) -> str:
    return f"{value:.0f}" if value < 100 else f"{float(f'{value:.2g}'):,.0f}"
