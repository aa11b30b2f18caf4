"""The cross-entropy of each token in a forward pass, without changing that pass.

Forward hooks read what the model returns. In order of preference the losses are

    log_probs   returned by the model (TRL 1.16 and later)
    logits      from the returned logits, a second time
    head        (chunked and fused losses return neither) from the last hidden states,
                to which the model's head is applied a second time

All work is done in small pieces, without gradients and without a synchronisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

_ELEMENTS = 16_777_216
"""Logits computed or converted at once: 64 MiB in float32."""

_SHARE = 0.005
"""The most that measuring may cost, as a share of a step."""
_FLOPS_PER_LOGIT = 3_200
"""Computed by a GPU in the time in which it reads a logit: 20 bytes, 160 per byte."""
_FLOPS_PER_PARAMETER = 4
"""Of a token in training, at least: the backward pass of frozen weights is half."""
_MOST_STEPS = 128


class Unmeasurable(Exception):
    """The token losses cannot be computed; the text says why."""


@dataclass(slots=True)
class Forward:
    """One forward pass of the model."""

    output: Any
    divisor: Any
    """What the model divides its summed loss by; None for the batch's own tokens."""
    hidden: Any = None
    """The last hidden states."""
    autocast: torch.dtype | None = None
    """The type to which the model casts, inside."""

    def get(self, name: str) -> Any:
        """A field of the output; None if it is missing."""
        if isinstance(self.output, dict):
            return self.output.get(name)
        return getattr(self.output, name, None)

    @property
    def way(self) -> str:
        """Where the token losses come from."""
        if self.get("log_probs") is not None:
            return "log_probs"
        return "head" if self.get("logits") is None else "logits"


class ForwardHooks:
    """Calls `see` at the end of each forward pass of a model, until removed.

    Args:
        trainer: The trainer of the model.
        model: The model that is called, with the wrappers of accelerate.
        see: Called with the pass; must not raise.
    """

    def __init__(
        self, trainer: Any, model: Any, see: Callable[[Forward], None]
    ) -> None:
        self._see = see
        self._hidden: Any = None
        self._autocast: torch.dtype | None = None
        self._handles = [model.register_forward_hook(self._end, with_kwargs=True)]
        backbone = _base(trainer).base_model
        if backbone is not model:
            self._handles.append(backbone.register_forward_hook(self._keep))

    def remove(self) -> None:
        """Remove the hooks."""
        while self._handles:
            self._handles.pop().remove()

    def _keep(self, module: Any, args: Any, output: Any) -> None:
        self._hidden = getattr(output, "last_hidden_state", None)
        if isinstance(self._hidden, torch.Tensor):
            kind = self._hidden.device.type
            on = torch.is_autocast_enabled(kind)
            self._autocast = torch.get_autocast_dtype(kind) if on else None

    def _end(self, module: Any, args: Any, kwargs: Any, output: Any) -> None:
        divisor, hidden = kwargs.get("num_items_in_batch"), self._hidden
        self._hidden = None
        self._see(Forward(output, divisor, hidden, self._autocast))


def losses_of(trainer: Any, forward: Forward, labels: torch.Tensor) -> torch.Tensor:
    """The losses of the last tokens of each row, of shape `(rows, n)`.

    All tokens but the first have a loss, and the first one too if it follows a prompt
    of virtual tokens. The loss is 0 where the label is -100.

    Args:
        trainer: The trainer of the model.
        forward: The forward pass.
        labels: The labels, of shape `(rows, tokens)`, not shifted.

    Raises:
        Unmeasurable: If the losses cannot be computed.
    """
    with torch.no_grad():
        return _losses_of(trainer, forward, labels)


def _losses_of(trainer: Any, forward: Forward, labels: torch.Tensor) -> torch.Tensor:
    if forward.way == "log_probs":
        return -forward.get("log_probs")[:, -labels.shape[1] :].float()
    logits = forward.get("logits")
    if logits is None:
        states, project = forward.hidden, _head(trainer, forward)
    else:
        states, project = logits, lambda piece: piece
    if states is None or states.dim() != 3 or states.shape[1] < labels.shape[1]:
        raise Unmeasurable("the model does not return the logits of all tokens")
    states = states[:, -labels.shape[1] - 1 : -1]
    targets = labels[:, -states.shape[1] :]
    vocabulary = _base(trainer).get_output_embeddings().weight.shape[0]
    at_once = max(1, _ELEMENTS // vocabulary)
    rows = []
    for row, target in zip(states, targets, strict=True):
        pieces = zip(row.split(at_once), target.split(at_once), strict=True)
        rows.append(
            torch.cat(
                [
                    functional.cross_entropy(
                        project(piece).float(), part.to(piece.device), reduction="none"
                    )
                    for piece, part in pieces
                ]
            )
        )
    return torch.stack(rows)


def steps_between(trainer: Any, way: str) -> int:
    """Optimizer steps from one measurement to the next, for 0.5% of a step at most.

    By arithmetic for a GPU, so that a run measures the same steps on each machine.
    """
    if way == "log_probs":
        return 1
    base = _base(trainer)
    vocabulary, width = base.get_output_embeddings().weight.shape
    # At half speed: the pieces are too small for a GPU's full speed.
    per_logit = _FLOPS_PER_LOGIT + (4 * width if way == "head" else 0)
    step: float = _FLOPS_PER_PARAMETER * base.num_parameters()
    wanted = math.ceil(vocabulary * per_logit / step / _SHARE)
    return wanted if wanted < _MOST_STEPS else _MOST_STEPS


def obstacle(trainer: Any) -> str | None:
    """Why the losses of tokens cannot be measured in this training, or None."""
    if getattr(trainer.args, "torch_compile", False):
        return "a hook would change the compiled model (torch_compile)"
    base = _base(trainer)
    if not hasattr(base, "base_model") or not hasattr(base, "get_output_embeddings"):
        return f"{type(base).__name__} is no causal language model of transformers"
    if base.get_output_embeddings() is None:
        return f"{type(base).__name__} has no language model head"
    return None


def _head(trainer: Any, forward: Forward) -> Callable[[torch.Tensor], torch.Tensor]:
    base = _base(trainer)
    head = base.get_output_embeddings()
    weight = head.weight
    if type(weight.data) is not torch.Tensor or weight.numel() == 0:
        raise Unmeasurable("the weights of the model's head are sharded")
    if any(isinstance(m, torch.nn.Dropout) and m.p > 0 for m in head.modules()):
        raise Unmeasurable("the model's head has dropout")
    softcap = getattr(base.config.get_text_config(), "final_logit_softcapping", None)
    kind, dtype = weight.device.type, forward.autocast

    def project(states: torch.Tensor) -> torch.Tensor:
        if dtype is None:
            states = states.to(weight.dtype)
        with torch.autocast(kind, dtype=dtype, enabled=dtype is not None):
            logits = head(states)
        return logits if softcap is None else softcap * torch.tanh(logits / softcap)

    return project


def _base(trainer: Any) -> Any:
    """The model without the wrappers of accelerate and PEFT."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    return model.get_base_model() if hasattr(model, "get_base_model") else model
