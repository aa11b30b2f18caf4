"""The witness as an Axolotl plugin."""

from __future__ import annotations

from typing import Any

from axolotl.integrations.base import BasePlugin
from witness import Witness


class WitnessPlugin(BasePlugin):
    """Adds a witness; `last` is that of the latest training in this process."""

    last: Witness

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        WitnessPlugin.last = Witness()
        return [WitnessPlugin.last]
