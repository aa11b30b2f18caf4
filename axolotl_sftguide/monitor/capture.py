"""Captures the signals of every optimizer step from a live trainer.

Three methods of the trainer's instance are wrapped while it trains:

    accelerator.clip_grad_norm_   returns the global norm before clipping; a callback
                                  that reads `p.grad` would see clipped gradients
    training_step                 receives each micro batch and returns its loss
    log                           carries the package's keys to the host's integrations

Nothing is reduced or copied to the host here: values stay on the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from .batches import count_rows, count_samples, count_trained_tokens, labels_of
from .faults import Guard
from .gradients import (
    Gradients,
    MicroBatchGradients,
    independent_norm,
    loss_scale,
)
from .wrapping import MethodWraps

NORM_CHECKS = 3
"""First steps whose gradient norm is computed a second time."""


@dataclass(slots=True)
class Signals:
    """Measurements of one step on this rank: numbers and 0-d tensors."""

    loss: Any = None
    grad_norm: Any = None
    independent_norm: Any = None
    samples: Any = 0
    rows: Any = 0
    """Rows of the micro batches' tensors."""
    trained_tokens: Any = 0
    squared_tokens: Any = 0
    micro_batches: int = 0
    squared_norms: Any = None
    loss_scale: Any = None
    """The scale of the fp16 loss after the step; None without a scaler."""


@dataclass(frozen=True, slots=True)
class PendingStep:
    """One optimizer step that has not been read from the device."""

    step: int
    learning_rate: float
    signals: Signals = field(default_factory=Signals)
    epoch: float | None = None
    """The host's epoch after this step."""
    without_gradients: bool = False
    """Whether no parameter had a gradient when the norm was taken."""
    weights_changed: bool = False
    """Whether an optimizer had stepped before the norm was taken."""


class StepCapture:
    """Collects the optimizer steps of one trainer on this rank.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        guard: Keeps errors of this class away from the training.
        micro_batches: Measures the micro batches' gradients, for the noise scale.
    """

    def __init__(
        self,
        trainer: Any,
        guard: Guard,
        micro_batches: MicroBatchGradients | None = None,
    ) -> None:
        self._trainer = trainer
        self._guard = guard
        self._micro_batches = micro_batches
        self._wraps = MethodWraps()
        self._gradients = Gradients(trainer)
        self._labels_are = labels_of(trainer.model)
        self._norm_checks = NORM_CHECKS
        self._pending: list[PendingStep] = []
        self._now = Signals()
        self._clipped = self._without_gradients = self._weights_changed = False

    def attach(self, on_log: Callable[[dict[str, Any]], None]) -> None:
        """Wrap the methods of this instance.

        Args:
            on_log: Called with the logs before the host writes them; may add keys.
        """

        def log(original: Any, logs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            on_log(logs)
            return original(logs, *args, **kwargs)

        self._wraps.wrap(self._trainer.accelerator, "clip_grad_norm_", self._clip)
        self._wraps.wrap(self._trainer, "training_step", self._training_step)
        self._wraps.wrap(self._trainer, "log", log)
        if self._micro_batches is not None:
            self._micro_batches.attach(self._trainer.state.global_step)

    def detach(self) -> None:
        """Restore the instance's own methods."""
        self._wraps.undo()
        if self._micro_batches is not None:
            self._micro_batches.detach()

    def end_step(self, learning_rate: float) -> bool:
        """Close the optimizer step that the trainer has just taken.

        Returns:
            False if no micro batch of the step was seen.
        """
        if self._now.loss is None:
            return False
        if self._micro_batches is not None:
            self._now.squared_norms = self._micro_batches.take()
        self._now.loss_scale = loss_scale(self._trainer.accelerator)
        state = self._trainer.state
        self._pending.append(
            PendingStep(
                state.global_step,
                learning_rate,
                self._now,
                epoch=state.epoch,
                without_gradients=self._without_gradients,
                weights_changed=self._weights_changed,
            )
        )
        self._now = Signals()
        self._clipped = self._without_gradients = self._weights_changed = False
        return True

    def take(self) -> list[PendingStep]:
        """All steps since the last call."""
        pending, self._pending = self._pending, []
        return pending

    def _clip(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        first, self._clipped = not self._clipped, True
        if first:
            self._guard.call(self._look_at_gradients, None)
        norm = original(*args, **kwargs)
        if first and not self._without_gradients:
            # A copy: the host may use the tensor again.
            tensor = isinstance(norm, torch.Tensor)
            self._now.grad_norm = norm.detach().clone() if tensor else norm
        return norm

    def _look_at_gradients(self) -> None:
        # Without gradients the host reports 0, for example if the optimizer steps
        # inside the backward pass.
        self._without_gradients = not self._gradients.exist()
        self._weights_changed = self._gradients.weights_changed()
        if self._norm_checks > 0:
            self._norm_checks -= 1
            self._compute_norm_again()

    def _compute_norm_again(self) -> None:
        self._now.independent_norm = independent_norm(self._trainer)

    def _training_step(
        self, original: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any
    ) -> Any:
        self._guard.call(lambda: self._count(inputs), None)
        loss = original(model, inputs, *args, **kwargs)
        self._guard.call(lambda: self._add_loss(loss), None)
        return loss

    def _count(self, inputs: Any) -> None:
        now = self._now
        if not now.micro_batches:
            self._gradients.begin_step()
        samples = count_samples(inputs)
        tokens = count_trained_tokens(inputs, self._labels_are)
        squared = None if tokens is None else tokens.float() ** 2
        now.samples = _sum(now.samples, samples)
        now.rows = _sum(now.rows, count_rows(inputs))
        now.trained_tokens = _sum(now.trained_tokens, tokens)
        now.squared_tokens = _sum(now.squared_tokens, squared)
        now.micro_batches += 1

    def _add_loss(self, loss: torch.Tensor) -> None:
        # A copy: the host may use the tensor again.
        loss = loss.detach().clone()
        self._now.loss = loss if self._now.loss is None else self._now.loss + loss


def _sum(total: Any, value: Any) -> Any:
    return None if total is None or value is None else total + value


def learning_rate(optimizer: Any) -> float:
    """The rate of an optimizer's first group; NaN if it has none.

    Where that group is frozen by a rate of zero, it is the highest of the others.
    """
    try:
        first, *others = (group["lr"] for group in optimizer.param_groups)
        rate = float(first)
        return rate if rate else max((rate, *map(float, others)))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return math.nan
