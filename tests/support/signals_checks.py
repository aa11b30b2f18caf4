"""What must hold of every recorded run, whichever host trained it."""

from __future__ import annotations

import math
from typing import Any

import pytest

STEPS = 12
RELATIVE = 1e-5


def check_norms(outcome: Any) -> None:
    """One record a step, whose norm is that of the unclipped float64 gradients."""
    observations = outcome.trace.observations
    assert [o.step for o in observations] == list(range(1, STEPS + 1))
    assert [o.grad_norm for o in observations] == pytest.approx(
        outcome.witness.norms, rel=RELATIVE
    )
    assert all(o.measured and o.samples_counted for o in observations)
    assert [o.samples_seen for o in observations] == [4 * o.step for o in observations]
    assert {o.learning_rate for o in observations} == {0.003}
    assert len({o.grad_norm for o in observations}) == STEPS


def check_window_losses(outcome: Any) -> None:
    """The mean of our losses over a logging window is the loss that the host logs."""
    losses = {o.step: o.loss for o in outcome.trace.observations}
    before = 0
    for log in outcome.logs:
        window = [losses[step] for step in range(before + 1, log["step"] + 1)]
        assert math.fsum(window) / len(window) == pytest.approx(log["loss"], rel=1e-5)
        before = log["step"]
    assert before > 0
