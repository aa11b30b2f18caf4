"""One log of a training as a line that a person can read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..units import duration, number, share

_GAP = "  "


@dataclass(frozen=True)
class LogLine:
    """The figures of one log; those that are None are left out."""

    step: int
    max_steps: int | None = None
    loss: float | None = None
    loss_before: float | None = None
    """The loss of the log before this one."""
    grad_norm: float | None = None
    learning_rate: float | None = None
    step_s: float | None = None
    """Mean seconds of an optimizer step."""
    left_s: float | None = None
    evaluation: Mapping[str, float] = field(default_factory=dict)
    """The last value of each metric of the host's evaluations."""

    def __str__(self) -> str:
        parts = [
            self._progress(),
            self._loss(),
            None if self.grad_norm is None else f"grad norm {_steady(self.grad_norm)}",
            None if self.learning_rate is None else f"lr {rate(self.learning_rate)}",
            pace(self.step_s),
            None if self.left_s is None else f"left {duration(self.left_s)}",
            *evaluation_parts(self.evaluation),
        ]
        return _GAP.join(part for part in parts if part).rstrip()

    def _progress(self) -> str:
        if not self.max_steps:
            return f"step {self.step}"
        width = len(str(self.max_steps))
        percent = share(self.step, self.max_steps)
        return f"step {self.step:>{width}}/{self.max_steps}{_GAP}{percent:>4}"

    def _loss(self) -> str | None:
        if self.loss is None:
            return None
        change = math.nan if self.loss_before is None else self.loss - self.loss_before
        # A width of its own keeps the columns below one another.
        beside = f"({change:+.3f})" if math.isfinite(change) else ""
        return f"loss {_steady(self.loss)} {beside:<8}"


def _steady(value: float) -> str:
    """A number in the same width from log to log: 3.050 and not 3.05."""
    return f"{value:#.4g}" if math.isfinite(value) else f"{number(value):<5}"


def rate(value: float) -> str:
    """A learning rate: `1.9e-4`, `0.003`."""
    if not 0 < value < 1e-3:
        return number(value, 2)
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def pace(step_s: float | None) -> str | None:
    """Optimizer steps per second, or seconds per step where that is above one."""
    if not step_s or not math.isfinite(step_s):
        return None
    return (
        f"{number(step_s, 2)} s/it" if step_s > 1 else f"{number(1 / step_s, 2)} it/s"
    )


def evaluation_parts(metrics: Mapping[str, float]) -> list[str]:
    """`eval 1.20` for `eval_loss`, and other losses and metrics by their names.

    Speeds and the epoch are left out.
    """
    return [
        f"{'eval' if name == 'eval_loss' else name.replace('_', ' ')} {number(value)}"
        for name, value in metrics.items()
        if not name.endswith(_NO_METRICS) and math.isfinite(value)
    ]


_NO_METRICS = (
    "epoch",
    "_runtime",
    "_per_second",
    "_preparation_time",
    "_ppl",
    "_num_tokens",
    "_entropy",
)
"""Endings of metrics that do not describe the model, or that repeat the loss."""
