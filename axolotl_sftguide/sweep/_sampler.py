"""How the values of trials are chosen."""

from __future__ import annotations

from typing import Any, Literal

from .storage import optuna_module

SamplerName = Literal["tpe", "random", "qmc", "grid"]


def make_sampler(name: SamplerName, seed: int | None, number: int) -> Any:
    """Optuna's sampler for the trial with a number; `grid` queues its own values."""
    samplers = optuna_module().samplers
    # Each trial has its own generator: two workers with the same seed would choose the
    # same values.
    own = None if seed is None else seed + number
    if name == "tpe":
        return samplers.TPESampler(seed=own, constant_liar=True)
    if name == "qmc":
        return samplers.QMCSampler(seed=seed or 0, warn_independent_sampling=False)
    return samplers.RandomSampler(seed=own)
