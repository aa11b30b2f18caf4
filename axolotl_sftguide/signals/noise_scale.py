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
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import covariance, fmean

from .. import students_t
from .autocorrelation import noise_of
from .observations import Observation

LEAST_STEPS = 16
"""Fewer measured steps give no estimate."""

WINDOW = 256
"""The most measured steps in an estimate; the noise scale grows as a run learns."""

_BATCHES = 8
"""Batches of consecutive measurements, whose means the interval rests on."""

_WIDEST = 10.0
"""An interval whose ends differ by a larger factor says nothing on the batch size."""

_START = Observation(0, 0, 0.0, 0.0, 0.0)


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
    """`tr(S) / |G|^2` in samples; infinite if there is no signal, and NaN, as are the
    ends of its interval, if the signal is clearly negative."""
    simple_low: float
    simple_high: float
    """Infinite if the signal is not clearly different from zero."""

    @property
    def withheld(self) -> str | None:
        """Why it says nothing on the batch size; None if it does."""
        if math.isnan(self.simple):
            return (
                "the squared norm without its noise came out negative, so the micro "
                "batches of a step are not independent draws (are they sorted?)"
            )
        if not self.simple_low <= self.batch_size <= self.simple_high:
            return None
        if self.simple_high <= _WIDEST * self.simple_low:
            return None
        ends = f"{_samples(self.simple_low)} samples or more"
        if math.isfinite(self.simple_high):
            ends = (
                f"{_samples(self.simple_low)} to {_samples(self.simple_high)} samples"
            )
        return (
            f"its 95% interval ({ends}) is too wide after {self.steps} measured steps; "
            "a longer run or a smaller sftguide.monitor.noise_scale_every measures more"
        )

    def advice(self) -> str:
        """One sentence on the batch size, or why there is none."""
        if self.withheld is not None:
            return f"noise scale not known: {self.withheld}"
        low, high = _samples(self.simple_low), _samples(self.simple_high)
        found = f"noise scale {_samples(self.simple)} samples ({low} to {high})"
        if math.isinf(self.simple_high):
            found = f"noise scale above {low} samples"
        now = f"{found}; a step has {_samples(self.batch_size)} samples"
        if self.batch_size < self.simple_low:
            return f"{now}, and a larger batch would still reduce gradient noise"
        if self.batch_size > self.simple_high:
            return f"{now}, and those beyond the noise scale gain little"
        return now


def estimate(observations: Iterable[Observation]) -> NoiseScale | None:
    """The noise scale over the last measured steps; None if there are too few.

    `tr(S)` and `|G|^2` are averaged over the steps before they are divided. The
    interval of the ratio is Fieller's, which is unbounded if the denominator may be
    zero. Neighbouring steps may be alike, so it is the wider of two: by the means of
    eight batches of measurements, and by an autoregression.
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
    low, high = _interval(noise, signal)
    simple = max(0.0, trace / square) if square > 0 else math.inf
    if math.isnan(low):
        simple = math.nan
    return NoiseScale(len(noise), fmean(sizes), trace, square, simple, low, high)


def noise_scale_logs(found: NoiseScale | None) -> dict[str, float]:
    """The `sftguide/...` logs of an estimate; what is not known is left out."""
    if found is None:
        return {}
    logs = {
        "sftguide/noise_scale": found.simple if found.withheld is None else math.nan,
        "sftguide/noise_scale_low": found.simple_low,
        "sftguide/noise_scale_high": found.simple_high,
        "sftguide/grad_variance": found.trace,
    }
    return {name: value for name, value in logs.items() if math.isfinite(value)}


@dataclass(frozen=True, slots=True)
class _Means:
    """Two means with their variances and covariance, widened as Student's t says."""

    above: float
    below: float
    variance_above: float
    variance_below: float
    covariance: float

    @classmethod
    def of(
        cls,
        above: Sequence[float],
        below: Sequence[float],
        freedom: float,
        alike: float = 1.0,
    ) -> _Means:
        """The means of two series.

        Args:
            above: One series.
            below: The other.
            freedom: Degrees of freedom of the variances.
            alike: The variance of a mean over that with independent values.
        """
        scale = alike * students_t.quantile(0.025, freedom) ** 2 / len(above)
        return cls(
            fmean(above),
            fmean(below),
            scale * covariance(above, above),
            scale * covariance(below, below),
            scale * covariance(above, below),
        )

    def ratio(self) -> tuple[float, float]:
        """The interval of `above / below`, cut off at zero; NaN if below is negative.

        All ratios `r` with `(above - r below)^2` up to the variance of that difference.
        A squared norm is not negative: the micro batches are then more unlike than by
        chance, and nothing can be said of the ratio.
        """
        x = self.below**2 - self.variance_below
        y = self.above * self.below - self.covariance
        z = self.above**2 - self.variance_above
        root = math.sqrt(max(0.0, y * y - x * z))
        if x > 0:
            if self.below < 0:
                return math.nan, math.nan
            return max(0.0, (y - root) / x), (y + root) / x
        if z <= 0 or x == 0:
            return 0.0, math.inf
        return max((y - root) / x, (y + root) / x, 0.0), math.inf


def _interval(above: Sequence[float], below: Sequence[float]) -> tuple[float, float]:
    """The wider interval of the ratio of two means over correlated steps."""
    found = [
        means.ratio()
        for means in (_of_batches(above, below), _of_neighbours(above, below))
    ]
    clear = [ends for ends in found if not math.isnan(ends[0])]
    if not clear:
        return math.nan, math.nan
    if len(clear) < len(found):
        return 0.0, math.inf
    return min(low for low, _ in clear), max(high for _, high in clear)


def _of_batches(above: Sequence[float], below: Sequence[float]) -> _Means:
    """From the means of batches, which are less alike than steps; see `_BATCHES`."""
    size = len(above) // _BATCHES
    starts = range(len(above) - _BATCHES * size, len(above), size)
    means = [[fmean(v[i : i + size]) for i in starts] for v in (above, below)]
    found = _Means.of(means[0], means[1], _BATCHES - 1)
    return replace(found, above=fmean(above), below=fmean(below))


def _of_neighbours(above: Sequence[float], below: Sequence[float]) -> _Means:
    """From all steps, as an autoregression of what the ratio's error comes from."""
    mean, other = fmean(above), fmean(below)
    errors = [a * other - b * mean for a, b in zip(above, below, strict=True)]
    independent = covariance(errors, errors) / len(errors)
    noise = noise_of(errors)
    variance = noise.variance_of_mean(len(errors))
    alike = variance / independent if independent else 1.0
    return _Means.of(above, below, noise.freedom, max(1.0, alike))


def _samples(value: float) -> str:
    return f"{value:.0f}" if value < 100 else f"{float(f'{value:.2g}'):,.0f}"
