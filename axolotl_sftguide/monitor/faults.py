"""Errors inside the package: logged once, and never passed on to the training."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import SFTGuideError
from . import notices

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Guard:
    """Calls the monitor's functions until one of them fails, and none after that.

    A session and its parts share one guard. On a failure the other ranks are informed
    at the next reduction, and all of them stop monitoring together.
    """

    def __init__(self) -> None:
        self.failed = False

    def call(self, function: Callable[[], T], default: T) -> T:
        """The function's result, or the default after a failure."""
        if self.failed:
            return default
        try:
            return function()
        except Exception as fault:
            self.failed = True
            logger.warning(notices.monitoring_failed(fault))
            logger.debug("traceback of the internal error", exc_info=True)
            return default


def fail_safe(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a callback's method: an error disables the callback, not the training.

    It is disabled until the next training begins.

    The traceback is logged at level DEBUG.
    """

    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if method.__name__ == "on_train_begin":
            self._disabled = False  # each training is a new try
        if getattr(self, "_disabled", False):
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self._disabled = True
            known = isinstance(error, SFTGuideError)
            text = notices.disabled if known else notices.disabled_by_fault
            logger.warning(text(type(self).__name__, error))
            logger.debug("traceback of the error", exc_info=True)
        return None

    return guarded
