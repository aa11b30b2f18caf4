"""Whether two trainings did the very same arithmetic."""

from __future__ import annotations

from typing import Any

import torch


def assert_same_bits(one: Any, other: Any) -> None:
    """The same logged losses, norms and rates, and the same final weights, exactly."""
    keys = ("step", "loss", "grad_norm", "learning_rate")
    assert one.logs
    assert [[log.get(k) for k in keys] for log in one.logs] == [
        [log.get(k) for k in keys] for log in other.logs
    ]
    left, right = one.weights, other.weights
    assert left.keys() == right.keys()
    unequal = [name for name in left if not torch.equal(left[name], right[name])]
    assert not unequal
