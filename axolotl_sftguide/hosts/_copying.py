"""Copies of a callback, as `copy.deepcopy` and pickle make them."""

from __future__ import annotations

from typing import Any

_OF_A_TRAINING = frozenset({"session", "_trainer", "_monitor", "_beginning"})


class WithoutTraining:
    """A callback whose copies keep its settings, and nothing of a training.

    Threads, open files and a trainer cannot be copied. A copy that is made while the
    run is trained would otherwise raise an error in the user's code.
    """

    def __getstate__(self) -> dict[str, Any]:
        state = vars(self)
        return {k: None if k in _OF_A_TRAINING else v for k, v in state.items()}
