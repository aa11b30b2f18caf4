"""An Axolotl plugin that makes a healthy run worse from some step on."""

from __future__ import annotations

from typing import Any, ClassVar

from axolotl.integrations.base import BasePlugin
from worsen import Worsen


class WorsenPlugin(BasePlugin):  # type: ignore[misc]
    last_good: ClassVar[int] = 8

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        return [Worsen(self.last_good)]
