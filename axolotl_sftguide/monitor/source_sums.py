"""Sums the losses of each source over some forward passes, on the device."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..signals.sources import SourceLosses
from .source_table import SourceTable
from .token_losses import Forward, ForwardHooks, Unmeasurable, losses_of

_TOLERANCE = 0.02
"""Allowed difference from the model's own loss, as a share: bf16 has three digits."""


class SourceSums:
    """The sums of one trainer on this rank, in training or in evaluation.

    An error ends the measurement, and nothing else.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        table: The sources of its data.
        total: Sums a tensor over the ranks; collective.
        first: Called once, after the first pass.
        failed: Called at most once, with the reason why nothing is measured any more.
    """

    def __init__(
        self,
        trainer: Any,
        table: SourceTable,
        *,
        total: Callable[[torch.Tensor], torch.Tensor],
        first: Callable[[Forward], None],
        failed: Callable[[str], None],
    ) -> None:
        self._trainer = trainer
        self._table = table
        self._total = total
        self._first = first
        self._failed = failed
        self._on = True
        self._begun = False
        self._sums: torch.Tensor | None = None
        self._check: tuple[torch.Tensor, torch.Tensor] | None = None

    @contextlib.contextmanager
    def measuring(self, model: Any, inputs: Any) -> Iterator[None]:
        """Within it, the first forward pass of the model is added to the sums.

        Args:
            model: The model that is called.
            inputs: The batch.
        """
        # Hosts take the labels out of the batch.
        batch = dict(inputs) if hasattr(inputs, "keys") else {}
        hooks: list[ForwardHooks] = []
        seen = False

        def see(forward: Forward) -> None:
            nonlocal seen
            if not seen:
                seen = True
                self._guarded(lambda: self._add(batch, forward))

        self._guarded(lambda: hooks.append(ForwardHooks(self._trainer, model, see)))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def take(self) -> SourceLosses | None:
        """The losses since the last call; None if none was measured.

        Collective: if several ranks train, every rank calls it at the same place.
        """
        self._guarded(self._compare)
        sums, self._sums = self._sums, None
        try:
            return self._summed(sums)
        except Exception as fault:  # of the device, for example
            self.close(repr(fault))
            return None

    def close(self, reason: str | None = None) -> None:
        """Measure nothing from now on.

        Args:
            reason: Why, if the user should know it.
        """
        on, self._on = self._on, False
        if on and reason is not None:
            self._failed(reason)

    def _add(self, batch: dict[str, Any], forward: Forward) -> None:
        sums = self._measure(batch, forward)
        self._sums = sums if self._sums is None else self._sums + sums
        if self._begun:
            return
        self._begun = True
        own, extra = forward.get("loss"), forward.get("aux_loss")
        if own is not None and extra is None:
            losses, tokens = sums.sum(1)
            # At least 1: a batch may have no trained tokens, and its loss is 0 or NaN.
            divisor = tokens if forward.divisor is None else forward.divisor
            measured = losses / torch.as_tensor(divisor).clamp(min=1)
            # A copy: on several ranks the trainer multiplies the loss in place.
            self._check = measured, own.detach().clone()
        self._first(forward)

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

    def _compare(self) -> None:
        """Compare the losses of the first pass with the model's own loss."""
        check, self._check = self._check, None
        if check is None:
            return
        measured, own = (float(value) for value in check)
        same = abs(measured - own) <= _TOLERANCE * max(abs(own), _TOLERANCE)
        if math.isfinite(own) and not same:
            raise Unmeasurable(
                f"the losses of the tokens do not add up to the model's own loss "
                f"({measured:.4g} instead of {own:.4g})"
            )

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
            self.close(str(fault) if isinstance(fault, Unmeasurable) else repr(fault))


def _precise(on: Any) -> torch.dtype:
    return torch.float32 if on.device.type == "mps" else torch.float64
