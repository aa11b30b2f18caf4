"""A callback that makes a healthy run worse from some step on."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback


class Worsen(TrainerCallback):
    """Adds noise to the weights after each step beyond `last_good`."""

    def __init__(self, last_good: int) -> None:
        self.last_good = last_good

    def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        import torch

        if state.global_step <= self.last_good:
            return
        generator = torch.Generator().manual_seed(state.global_step)
        for parameter in kw["model"].parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data += 0.05 * noise
