"""Wraps methods of one instance, and unwraps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class MethodWraps:
    """Wraps methods of instances; no class is patched."""

    def __init__(self) -> None:
        self._active = True
        self._undo: list[Callable[[], None]] = []

    def wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        """Call `around(original, ...)` instead of `owner.name(...)`."""
        original = getattr(owner, name)
        shadowed = vars(owner).get(name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if not self._active:
                return original(*args, **kwargs)
            return around(original, *args, **kwargs)

        def undo() -> None:
            # If other code has wrapped the method since, this wrapper stays and
            # only forwards calls.
            if vars(owner).get(name) is not wrapped:
                return
            if shadowed is None:
                delattr(owner, name)
            else:
                setattr(owner, name, shadowed)

        setattr(owner, name, wrapped)
        self._undo.append(undo)

    def undo(self) -> None:
        """Restore the original methods."""
        self._active = False
        while self._undo:
            self._undo.pop()()
