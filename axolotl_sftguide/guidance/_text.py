"""Values of settings as people write them."""

from __future__ import annotations

from typing import Any


def shown(value: Any) -> str:
    """A value such as `5e-4`, `1.5` or `3,840`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if value and abs(value) < 0.01:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"


def rounded(value: float) -> float:
    """Two significant digits."""
    return float(f"{value:.2g}")
