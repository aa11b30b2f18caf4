"""Wraps methods of one instance, and unwraps them in any order."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class _Layer:
    """A wrapper: calls `around` with the method below it, or that method alone."""

    below: Callable[..., Any]
    around: Callable[..., Any] | None
    """None once the wrapper only forwards calls."""


class MethodWraps:
    """Wraps methods of instances; no class is patched."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        """Call `around(original, ...)` instead of `owner.name(...)`."""
        layer = _Layer(getattr(owner, name), around)

        @functools.wraps(layer.below)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if layer.around is None:
                return layer.below(*args, **kwargs)
            return layer.around(layer.below, *args, **kwargs)

        wrapped.layer = layer  # type: ignore[attr-defined]

        def undo() -> None:
            layer.around = None
            top = vars(owner).get(name)
            if top is wrapped and _is_own_method(owner, name, layer.below):
                delattr(owner, name)
            elif top is wrapped:
                setattr(owner, name, layer.below)
            else:
                # Another wrapper lies on this one: take this one out below it. A
                # wrapper of other code keeps calling this one, which forwards.
                _take_out(top, wrapped)

        setattr(owner, name, wrapped)
        self._undo.append(undo)

    def __reduce__(self) -> tuple[type[MethodWraps], tuple[()]]:
        """A copy wraps nothing: the wrapped instances are not its own."""
        return MethodWraps, ()

    def undo(self) -> None:
        """Restore the original methods."""
        while self._undo:
            self._undo.pop()()


def _is_own_method(owner: Any, name: str, method: Any) -> bool:
    """Whether a method is the one that the owner's class gives it."""
    function = getattr(method, "__func__", None)
    return function is not None and function is getattr(type(owner), name, None)


def _take_out(top: Any, wrapped: Callable[..., Any]) -> None:
    layer = getattr(top, "layer", None)
    while isinstance(layer, _Layer):
        if layer.below is wrapped:
            layer.below = wrapped.layer.below  # type: ignore[attr-defined]
            return
        layer = getattr(layer.below, "layer", None)
