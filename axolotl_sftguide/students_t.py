"""Student's t distribution, where SciPy may be missing.

Runs are judged while they train, and evidence is replayed with the core dependencies.
The tail is an incomplete beta function, by its continued fraction (DLMF 8.17.22); the
degrees of freedom need not be whole.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_EXACT = 1e-14


def tail(t: float, freedom: float) -> float:
    """The probability that Student's t is above `t`."""
    if t < 0:
        return 1 - tail(-t, freedom)
    if math.isinf(t):
        return 0.0
    x = freedom / (freedom + t * t)
    a, b = freedom / 2, 0.5
    if x < (a + 1) / (a + b + 2):
        return _incomplete_beta(x, a, b) / 2
    return (1 - _incomplete_beta(1 - x, b, a)) / 2


@lru_cache(maxsize=256)
def quantile(above: float, freedom: float) -> float:
    """The value that Student's t is above with a probability of at most one half."""
    if above >= 0.5:
        return 0.0
    if above <= 0:
        return math.inf
    # Wallace's approximation (1959), then Newton's method on logarithms, on which the
    # tail is nearly a straight line.
    normal = -_NORMAL.inv_cdf(above) * (8 * freedom + 3) / (8 * freedom + 1)
    t = math.sqrt(freedom * math.expm1(min(600.0, normal**2 / freedom)))
    for _ in range(20):
        beyond = tail(t, freedom)
        if beyond <= 0:
            return math.inf
        step = (math.log(beyond) - math.log(above)) * beyond / (t * density(t, freedom))
        t *= math.exp(max(-1.0, min(1.0, step)))
        if abs(step) < 1e-12:
            break
    return t


def density(t: float, freedom: float) -> float:
    """The density of Student's t at a value."""
    a = freedom / 2
    scale = math.lgamma(a + 0.5) - math.lgamma(a) - math.log(freedom * math.pi) / 2
    return math.exp(scale - (a + 0.5) * math.log1p(t * t / freedom))


def as_rare_as(sigmas: float, freedom: float) -> float:
    """The quantile of Student's t that is as likely to be exceeded as `sigmas` is.

    It is infinite where that probability is too small to be computed.
    """
    return quantile(_NORMAL.cdf(-sigmas), freedom)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, for x up to its mean or so."""
    if x <= 0:
        return 0.0
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front += a * math.log(x) + b * math.log1p(-x)
    # The modified method of Lentz.
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    fraction = d
    for i in range(1, 300):
        even = i * (b - i) * x / ((a + 2 * i - 1) * (a + 2 * i))
        odd = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1))
        for term in (even, odd):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            fraction *= c * d
        if abs(c * d - 1) < _EXACT:
            break
    return math.exp(front) * fraction / a


def _nonzero(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300
