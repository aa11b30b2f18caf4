"""An Axolotl plugin with a second held-out score: what the base knew before.

`sftguide.score` is one score, of what was taught. This plugin adds the same callback
with other questions. Named before `SFTGuidePlugin`, its score is recorded first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axolotl.integrations.base import BasePlugin

METRIC = "retained_first_token"


class RetainedScorePlugin(BasePlugin):  # type: ignore[misc]
    """Scores the lines of the base's own form, whose first token is the kind."""

    def add_callbacks_post_trainer(self, cfg: Any, trainer: Any) -> list[Any]:
        """The callback, with the questions that lie beside those of `score`."""
        from axolotl_sftguide import HeldOutScoreCallback

        score = cfg.sftguide["score"]
        beside = Path(score["data_path"])
        return [
            HeldOutScoreCallback(
                trainer=trainer,
                data_path=str(beside.with_name("retained.jsonl")),
                metric=METRIC,
                max_new_tokens=1,
                batch_size=100,
                base=bool(score["base"]),
            )
        ]
