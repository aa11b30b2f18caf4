"""An Axolotl plugin that holds a training at one step until a test releases it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import hold
from axolotl.integrations.base import BasePlugin
from transformers import TrainerCallback


class Hold(TrainerCallback):  # type: ignore[misc]
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        folder = Path(args.output_dir)
        if state.global_step == hold.STEP:
            (folder / hold.HELD).write_text(str(os.getpid()))
            while not (folder.parent / hold.RELEASE).exists():
                time.sleep(0.05)


class HoldPlugin(BasePlugin):  # type: ignore[misc]
    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        return [Hold()]
