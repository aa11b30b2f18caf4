"""An independent witness of what a trainer does: float64 norms, steps, saves.

It takes the norms from hooks on the parameters' accumulated gradients, before and
apart from the clip at which the package takes its own.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from transformers import Trainer, TrainerCallback


class Witness(TrainerCallback):
    """Keeps the float64 norm of the unclipped gradients of every optimizer step."""

    def __init__(self) -> None:
        self.norms: list[float] = []
        self.events: list[str] = []
        self.answers = 0
        self.rows: list[list[int]] = []
        """The token ids of each row that was trained on, without padding."""
        self.trainer: Any = None
        self._squares: dict[str, torch.Tensor] = {}
        self._handles: list[Any] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        frame = sys._getframe(1)
        while not isinstance(frame.f_locals.get("self"), Trainer):
            frame = frame.f_back  # type: ignore[assignment]
        self.trainer = frame.f_locals["self"]
        self._count_answers()
        for name, parameter in kw["model"].named_parameters():
            if parameter.requires_grad:
                hook = parameter.register_post_accumulate_grad_hook(self._keep(name))
                self._handles.append(hook)

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        total = torch.stack(list(self._squares.values())).sum()
        self.norms.append(float(total.sqrt()))
        self._squares.clear()

    def on_evaluate(self, *_: Any, **__: Any) -> None:
        self.events.append("evaluate")

    def on_save(self, *_: Any, **__: Any) -> None:
        self.events.append("save")

    def on_train_end(self, *_: Any, **__: Any) -> None:
        for handle in self._handles:
            handle.remove()

    def _count_answers(self) -> None:
        """Each sample holds one answer: a stretch of labels after tokens without."""
        original = self.trainer.training_step

        def counted(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            trained = torch.nn.functional.pad(inputs["labels"] != -100, (1, 0))
            self.answers += int((~trained[:, :-1] & trained[:, 1:]).sum())
            masks = inputs.get("attention_mask")
            if masks is not None:
                pairs = zip(inputs["input_ids"], masks, strict=True)
                self.rows += [ids[mask.bool()].tolist() for ids, mask in pairs]
            return original(model, inputs, *args, **kwargs)

        self.trainer.training_step = counted

    def _keep(self, name: str) -> Any:
        def hook(parameter: torch.Tensor) -> None:
            self._squares[name] = parameter.grad.detach().double().pow(2).sum()

        return hook
