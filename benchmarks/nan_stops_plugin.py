"""An Axolotl plugin for `nan_stops.py`, which turns the loss to NaN."""

from __future__ import annotations

from typing import Any

from axolotl.integrations.base import BasePlugin


class NaNPlugin(BasePlugin):  # type: ignore[misc]
    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        from __main__ import TurnToNaN

        return [TurnToNaN()]
