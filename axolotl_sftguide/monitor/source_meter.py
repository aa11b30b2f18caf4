"""Measures the loss of each source while a trainer trains and evaluates.

The loss that is trained is never changed: what the model returns is read by a hook.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..signals.sources import SourceLosses
from .source_table import SourceTable
from .token_losses import (
    Forward,
    ForwardHooks,
    Unmeasurable,
    losses_of,
    obstacle,
    steps_between,
)
from .wrapping import MethodWraps

_TOLERANCE = 0.02
"""Allowed difference from the model's own loss, as a share: bf16 has three digits."""


class SourceMeter:
    """Sums the loss of each source over the steps of one trainer, on this rank.

    An error in it ends this measurement, and nothing else.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        table: The sources of its data.
        every: One optimizer step out of this many is measured; None for as many as
            cost at most 0.5% of a step.
        total: Sums a tensor over the ranks; collective.
        started: Called once, after the first micro batch, with the way of measuring
            and the optimizer steps from one measurement to the next.
        failed: Called at most once, with the reason why nothing is measured any more.
    """

    def __init__(
        self,
        trainer: Any,
        table: SourceTable,
        *,
        every: int | None,
        total: Callable[[torch.Tensor], torch.Tensor],
        started: Callable[[str, int], None],
        failed: Callable[[str], None],
    ) -> None:
        self._trainer = trainer
        self._table = table
        self._every = every
        self._total = total
        self._started = started
        self._failed = failed
        self._on = True
        self._training: torch.Tensor | None = None
        self._evaluation: torch.Tensor | None = None
        self._first: tuple[torch.Tensor, torch.Tensor] | None = None
        self._announced = False
        self._wraps = MethodWraps()

    def attach(self) -> None:
        """Wrap the trainer's steps of training and of evaluation."""
        reason = obstacle(self._trainer)
        if reason is not None:
            self._fail(reason)
        self._wraps.wrap(self._trainer, "training_step", self._training_step)
        self._wraps.wrap(self._trainer, "prediction_step", self._prediction_step)

    def detach(self) -> None:
        """Restore the instance's own methods."""
        self._wraps.undo()

    def take(self) -> SourceLosses | None:
        """The losses of the steps since the last call; None if none was measured.

        Collective: if several ranks train, every rank calls it at the same place.
        """
        sums, self._training = self._training, None
        self._guarded(self._compare)
        return self._read(sums)

    def take_evaluation(self) -> SourceLosses | None:
        """The losses of the evaluation since the last call; None likewise. Collective.

        None too if no source is known in the evaluation's data.
        """
        sums, self._evaluation = self._evaluation, None
        return self._read(sums)

    def _training_step(
        self, original: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if self._trainer.state.global_step % (self._every or 1):
            return original(model, inputs, *args, **kwargs)
        with self._measuring(model, inputs, self._add_training):
            return original(model, inputs, *args, **kwargs)

    def _prediction_step(
        self, original: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any
    ) -> Any:
        with self._measuring(model, inputs, self._add_evaluation):
            return original(model, inputs, *args, **kwargs)

    @contextlib.contextmanager
    def _measuring(
        self, model: Any, inputs: Any, add: Callable[[torch.Tensor, Forward], None]
    ) -> Iterator[None]:
        """Within it, the first forward pass of the model is measured."""
        # Hosts take the labels out of the batch.
        batch = dict(inputs) if hasattr(inputs, "keys") else {}
        hooks: list[ForwardHooks] = []
        seen = False

        def see(forward: Forward) -> None:
            nonlocal seen
            if not seen:
                seen = True
                self._guarded(lambda: add(self._measure(batch, forward), forward))

        self._guarded(lambda: hooks.append(ForwardHooks(self._trainer, model, see)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _measure(self, batch: dict[str, Any], forward: Forward) -> torch.Tensor:
        """The sums over the batch, of shape `(2, sources + 1)`: losses and tokens."""
        labels, ids = batch.get("labels"), batch.get("input_ids")
        if labels is None or ids is None or labels.shape != ids.shape:
            raise Unmeasurable("a batch has no labels in the shape of its tokens")
        losses = losses_of(self._trainer, forward, labels)
        last = losses.shape[1]
        trained = labels[:, -last:].to(losses.device) != -100
        sources = self._table.sources_of(batch)[:, -last:].to(losses.device)
        parts = torch.stack([losses.where(trained, 0.0), trained.to(losses.dtype)])
        sums = parts.new_zeros((2, self._table.unknown + 1), dtype=_precise(losses))
        sums.index_add_(1, sources.reshape(-1), parts.flatten(1).to(sums.dtype))
        return sums

    def _add_training(self, sums: torch.Tensor, forward: Forward) -> None:
        self._training = sums if self._training is None else self._training + sums
        if self._announced:
            return
        self._announced = True
        if self._every is None:
            self._every = steps_between(self._trainer, forward.way)
        own, extra = forward.get("loss"), forward.get("aux_loss")
        if own is not None and extra is None:
            losses, tokens = sums.sum(1)
            # At least 1: a batch may have no trained tokens, and its loss is 0 or NaN.
            divisor = tokens if forward.divisor is None else forward.divisor
            measured = losses / torch.as_tensor(divisor).clamp(min=1)
            # A copy: on several ranks the trainer multiplies the loss in place.
            self._first = measured, own.detach().clone()
        self._started(forward.way, self._every)

    def _add_evaluation(self, sums: torch.Tensor, forward: Forward) -> None:
        self._evaluation = sums if self._evaluation is None else self._evaluation + sums

    def _compare(self) -> None:
        """Compare the losses of the first micro batch with the model's own loss."""
        first, self._first = self._first, None
        if first is None:
            return
        measured, own = (float(value) for value in first)
        same = abs(measured - own) <= _TOLERANCE * max(abs(own), _TOLERANCE)
        if math.isfinite(own) and not same:
            raise Unmeasurable(
                f"the losses of the tokens do not add up to the model's own loss "
                f"({measured:.4g} instead of {own:.4g})"
            )

    def _read(self, sums: torch.Tensor | None) -> SourceLosses | None:
        try:
            return self._summed(sums)
        except Exception as fault:  # of the device, for example
            self._fail(repr(fault))
            return None

    def _summed(self, sums: torch.Tensor | None) -> SourceLosses | None:
        args, names = self._trainer.args, self._table.names
        sums = sums if self._on else None
        if args.world_size > 1:
            if sums is None:
                sums = torch.zeros(2, len(names) + 1, dtype=_precise(args))
            sums = self._total(sums.to(args.device))
        if sums is None:
            return None
        losses, tokens = sums.tolist()
        known = {n: round(t) for n, t in zip(names, tokens, strict=False) if t}
        mean = {n: losses[names.index(n)] / count for n, count in known.items()}
        step, unknown = self._trainer.state.global_step, round(tokens[-1])
        return SourceLosses(step, mean, known, unknown) if known or unknown else None

    def _guarded(self, function: Callable[[], None]) -> None:
        if not self._on:
            return
        try:
            function()
        except Exception as fault:
            self._fail(str(fault) if isinstance(fault, Unmeasurable) else repr(fault))

    def _fail(self, reason: str) -> None:
        if self._on:
            self._on = False
            self._failed(reason)


def _precise(on: Any) -> torch.dtype:
    return torch.float32 if on.device.type == "mps" else torch.float64
