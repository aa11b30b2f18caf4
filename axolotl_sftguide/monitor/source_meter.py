"""Measures the loss of each source while a trainer trains and evaluates.

The loss that is trained is never changed: what the model returns is read by a hook.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from ..signals.sources import SourceLosses
from .source_sums import SourceSums
from .source_table import SourceTable
from .token_losses import Forward, obstacle, steps_between
from .wrapping import MethodWraps


class SourceMeter:
    """Measures some steps of training and all of evaluation, on this rank.

    An error in it ends the measurement of training or of evaluation, and nothing else.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        table: The sources of its data.
        every: One optimizer step out of this many is measured; None for as many as
            cost at most 0.5% of a step.
        total: Sums a tensor over the ranks; collective.
        started: Called once, after the first micro batch, with the way of measuring
            and the optimizer steps from one measurement to the next.
        failed: Called with what is not measured any more, `training` or `evaluation`,
            and the reason.
    """

    def __init__(
        self,
        trainer: Any,
        table: SourceTable,
        *,
        every: int | None,
        total: Callable[[torch.Tensor], torch.Tensor],
        started: Callable[[str, int], None],
        failed: Callable[[str, str], None],
    ) -> None:
        self._trainer = trainer
        self._every = every
        self._started = started
        sums = partial(SourceSums, trainer, table, total=total)
        self._training = sums(first=self._begin, failed=partial(failed, "training"))
        self._evaluation = sums(
            first=lambda forward: None, failed=partial(failed, "evaluation")
        )
        self._wraps = MethodWraps()

    def attach(self) -> None:
        """Wrap the trainer's steps of training and of evaluation."""
        reason = obstacle(self._trainer)
        if reason is not None:
            self._training.close(reason)
            self._evaluation.close()
        self._wraps.wrap(self._trainer, "training_step", self._training_step)
        self._wraps.wrap(self._trainer, "prediction_step", self._prediction_step)

    def detach(self) -> None:
        """Restore the instance's own methods."""
        self._wraps.undo()

    def take(self) -> SourceLosses | None:
        """The losses of the steps since the last call; None if none was measured.

        Collective: if several ranks train, every rank calls it at the same place.
        """
        return self._training.take()

    def take_evaluation(self) -> SourceLosses | None:
        """The losses of the evaluation since the last call. Collective.

        None if the sources of its data are not known; no evaluation is measured then.
        """
        found = self._evaluation.take()
        if found is not None and not found.loss:
            self._evaluation.close()
            return None
        return found

    def _begin(self, forward: Forward) -> None:
        if self._every is None:
            self._every = steps_between(self._trainer, forward.way)
        self._started(forward.way, self._every)

    def _training_step(
        self, original: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if self._trainer.state.global_step % (self._every or 1):
            return original(model, inputs, *args, **kwargs)
        with self._training.measuring(model, inputs):
            return original(model, inputs, *args, **kwargs)

    def _prediction_step(
        self, original: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any
    ) -> Any:
        with self._evaluation.measuring(model, inputs):
            return original(model, inputs, *args, **kwargs)
