"""The gradient noise scale, estimated from the micro batches of ordinary steps.

An accumulated gradient is `g = sum G_i`, with `G_i` the contribution of micro batch
`i`. Let `w_i` be the weight of micro batch `i` in the mean (its trained tokens over
those of the step, or one over the number of micro batches if their means are averaged)
and `q = sum w_i^2`. Micro batches are independent draws, so with the true gradient `G`

    E |G_i|^2 = w_i^2 |G|^2 + noise_i        E |g|^2 = |G|^2 + sum noise_i

and `(sum |G_i|^2 - q |g|^2) / (1 - q)` has the expectation `sum noise_i` for any
weights, while the two-batch formula of arXiv 1812.06162 (appendix A.1) assumes equal
ones. With `B` samples a step, `tr(S) = B x noise` is the variance of one sample's
gradient, and `tr(S) / |G|^2` the simple noise scale (its section 2.2): the batch size,
in samples, at which noise and signal in `|g|^2` are equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist, covariance, fmean

from .observations import Observation

LEAST_STEPS = 16
"""Fewer measured steps give no estimate."""

WINDOW = 256
"""The most measured steps in an estimate; the noise scale grows as a run learns."""

_START = Observation(0, 0, 0.0, 0.0, 0.0)
_Z_95 = NormalDist().inv_cdf(0.975)


def noise_in_squared_norm(
    sum_of_squares: float, squared_norm: float, weights_squared: float
) -> float | None:
    """The noise in `|g|^2` of one step, from `sum |G_i|^2`, `|g|^2` and `q`.

    It may be negative, as single steps are noisy. None for a single micro batch.
    """
    rest = 1.0 - weights_squared
    if rest < 1e-6:
        return None
    return (sum_of_squares - weights_squared * squared_norm) / rest


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """An estimate over some steps, with a 95% interval."""

    steps: int
    """The number of measured steps."""
    batch_size: float
    """Mean samples per step."""
    trace: float
    """`tr(S)`, the variance of one sample's gradient."""
    signal: float
    """`|G|^2`; may be negative if noise dominates."""
    simple: float
    """`tr(S) / |G|^2` in samples; infinite if there is no signal."""
    simple_low: float
    simple_high: float
    """Infinite if the signal is not clearly different from zero."""

    def norm_at(self, batch_size: float) -> float:
        """The expected gradient norm of steps of `batch_size` samples."""
        return math.sqrt(max(0.0, self.signal + self.trace / batch_size))

    def advice(self) -> str:
        """One sentence on the batch size."""
        low, high = _samples(self.simple_low), _samples(self.simple_high)
        now = f"a step has {_samples(self.batch_size)} samples"
        if math.isinf(self.simple_high):
            return (
                f"noise scale above {low} samples; {now}, and a larger batch would "
                "still reduce gradient noise"
            )
        between = f"noise scale {_samples(self.simple)} samples ({low} to {high})"
        if self.batch_size > self.simple_high:
            return f"{between}; {now}, and those beyond the noise scale gain little"
        return f"{between}; {now}"


def estimate(observations: Iterable[Observation]) -> NoiseScale | None:
    """The noise scale over the last measured steps.

    None if there are too few, or if the signal is clearly negative.

    `tr(S)` and `|G|^2` are averaged over the steps before they are divided. The
    interval of the ratio is Fieller's, which is unbounded if the denominator may be
    zero.
    """
    noise, signal, sizes = [], [], []
    for previous, o in pairwise([_START, *observations]):
        if o.step != previous.step + 1:
            continue
        samples = o.samples_seen - previous.samples_seen
        if o.grad_noise is None or not o.comparable or samples <= 0:
            continue
        noise.append(samples * o.grad_noise)
        signal.append(o.grad_norm**2 - o.grad_noise)
        sizes.append(samples)
    noise, signal, sizes = noise[-WINDOW:], signal[-WINDOW:], sizes[-WINDOW:]
    if len(noise) < LEAST_STEPS:
        return None
    trace, square = fmean(noise), fmean(signal)
    interval = _fieller(noise, signal)
    if interval is None:
        return None
    low, high = interval
    simple = trace / square if square > 0 else math.inf
    return NoiseScale(
        len(noise), fmean(sizes), trace, square, max(0.0, simple), low, high
    )


def noise_scale_logs(found: NoiseScale | None) -> dict[str, float]:
    """The `sftguide/...` logs of an estimate; infinite values are left out."""
    if found is None:
        return {}
    logs = {
        "sftguide/noise_scale": found.simple,
        "sftguide/noise_scale_low": found.simple_low,
        "sftguide/noise_scale_high": found.simple_high,
        "sftguide/grad_variance": found.trace,
    }
    return {name: value for name, value in logs.items() if math.isfinite(value)}


def _fieller(
    above: Sequence[float], below: Sequence[float]
) -> tuple[float, float] | None:
    """The 95% interval of `mean(above) / mean(below)`, cut off at zero.

    None if `mean(below)` is clearly negative: a squared norm is not, so the micro
    batches are more unlike than by chance, and nothing can be said of the ratio.
    """
    n = len(above)
    a, b = fmean(above), fmean(below)
    t = _student(n - 1)
    t2 = t * t / n
    va, vb = covariance(above, above), covariance(below, below)
    vab = covariance(above, below)
    # All ratios r with (a - r b)^2 <= t2 (va - 2 r vab + r^2 vb)
    x, y, z = b * b - t2 * vb, a * b - t2 * vab, a * a - t2 * va
    root = math.sqrt(max(0.0, y * y - x * z))
    if x > 0:
        return None if b < 0 else (max(0.0, (y - root) / x), (y + root) / x)
    if z <= 0 or x == 0:
        return 0.0, math.inf
    return max((y - root) / x, (y + root) / x, 0.0), math.inf


def _student(freedom: int) -> float:
    """The 97.5% quantile of Student's t, from its expansion around the normal one.

    SciPy's `t.ppf` differs by less than 0.1% from `LEAST_STEPS` on, and is not
    installed everywhere that runs train.
    """
    z = _Z_95
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    )


def _samples(value: float) -> str:
    return f"{value:.0f}" if value < 100 else f"{float(f'{value:.2g}'):,.0f}"
