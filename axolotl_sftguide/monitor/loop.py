"""The host's training loop: whether it runs, and the errors that leave it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .wrapping import MethodWraps


class TrainingLoop:
    """Sees every way out of the loop of one trainer.

    The loop itself has begun when a callback is called and cannot be wrapped any
    more. Wrapped are the methods that it calls: one epoch, the end, an evaluation
    before the first step, the events of callbacks, and, for a loop without
    `_run_epoch`, the training step. The event of the start is wrapped at each
    callback, until the first epoch begins.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._wraps = MethodWraps()
        self._beginning = MethodWraps()
        self._epochs = 0

    @property
    def in_epoch(self) -> bool:
        """Whether an epoch is being trained; False after its last step."""
        return self._epochs > 0

    def attach(
        self, on_error: Callable[[BaseException], None], on_end: Callable[[], None]
    ) -> None:
        """Wrap the methods of this instance.

        Args:
            on_error: Called when an exception leaves the loop; it is raised again.
                Not called for an exception that the trainer itself handles.
            on_end: Called when the loop has ended without one.
        """

        def epoch(original: Any, *args: Any, **kwargs: Any) -> Any:
            self._beginning.undo()
            self._epochs += 1
            try:
                return watched(original, *args, **kwargs)
            finally:
                self._epochs -= 1

        def watched(original: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(*args, **kwargs)
            except BaseException as error:
                on_error(error)
                raise

        def last(original: Any, *args: Any, **kwargs: Any) -> Any:
            result = watched(original, *args, **kwargs)
            on_end()
            return result

        def outside(original: Any, *args: Any, **kwargs: Any) -> Any:
            # Within an epoch, the exception passes through the epoch's own wrapper.
            call = functools.partial(watched, original)
            return (original if self.in_epoch else call)(*args, **kwargs)

        self._wrap(self._trainer, "_run_epoch", epoch)
        self._wrap(self._trainer, "_finalize_training", last)
        self._wrap(self._trainer, "_evaluate", outside)
        self._wrap(self._trainer, "training_step", outside)
        self._wrap(self._trainer.callback_handler, "call_event", outside)
        # The event of the start is being handled now, so its handler is not wrapped.
        for callback in self._trainer.callback_handler.callbacks:
            if hasattr(callback, "__dict__"):
                self._beginning.wrap(callback, "on_train_begin", watched)

    def detach(self) -> None:
        """Restore the instance's own methods."""
        self._beginning.undo()
        self._wraps.undo()

    def _wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        if hasattr(owner, name):  # a trainer may have a loop of its own
            self._wraps.wrap(owner, name, around)
