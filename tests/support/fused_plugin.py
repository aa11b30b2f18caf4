"""An Axolotl plugin whose model trains without logits, as with a fused loss.

Liger and Cut Cross-Entropy need CUDA; what they leave out is left out here.
"""

from __future__ import annotations

import functools
from typing import Any

from axolotl.integrations.base import BasePlugin


class FusedPlugin(BasePlugin):  # type: ignore[misc]
    def post_model_load(self, cfg: Any, model: Any) -> None:
        causal = model.get_base_model() if hasattr(model, "get_base_model") else model
        forward = causal.forward

        @functools.wraps(forward)
        def fused(*args: Any, **kwargs: Any) -> Any:
            output = forward(*args, **kwargs)
            if causal.training:
                output.logits = None
            return output

        causal.forward = fused
