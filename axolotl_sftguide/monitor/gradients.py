"""Norms computed from the gradients: the global norm, and those of the micro batches.

Nothing here changes a gradient, copies a whole one, or synchronises with the device.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from . import notices
from .accumulation import TOKEN_MEAN_OF_RANKS, loss_normalisation

logger = logging.getLogger(__name__)

_CHUNK = 4_194_304
"""Gradient elements read at once: 16 MiB in float32."""

_SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP")
_IN_BACKWARD = ("lomo", "adalomo")

_WATCHED_WEIGHTS = 64
"""At most so many parameters, evenly spaced, show whether an optimizer has stepped."""


class Gradients:
    """Whether a trainer's parameters have gradients in memory.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
    """

    def __init__(self, trainer: Any) -> None:
        self._model = trainer.model
        self._hidden = "DEEPSPEED" in _distributed_type(trainer)
        self._trainable = [p for p in self._model.parameters() if p.requires_grad]
        some = -(-len(self._trainable) // _WATCHED_WEIGHTS) or 1
        self._some = self._trainable[::some]
        self._versions: list[int] = []

    def begin_step(self) -> None:
        """Note the weights before the first micro batch of a step."""
        self._versions = self._version_of_each()

    def weights_changed(self) -> bool:
        """Whether an optimizer has stepped since, as inside the backward pass.

        Gradients that are zero after that say nothing of those it stepped with.
        """
        return self._versions != self._version_of_each()

    def exist(self) -> bool:
        """Whether any parameter has a gradient; DeepSpeed keeps them to itself."""
        if self._hidden or any(p.grad is not None for p in self._trainable):
            return True
        # The trainable parameters may have changed since.
        return any(p.grad is not None for p in self._model.parameters())

    def _version_of_each(self) -> list[int]:
        """Torch counts the changes of a tensor in place; read without the device."""
        return [parameter._version for parameter in self._some]


def loss_scale(accelerator: Any) -> Any:
    """The scale of the fp16 loss, as a 0-d tensor; None if it is not scaled."""
    scaler = getattr(accelerator, "scaler", None)
    # `get_scale` would synchronise with the device at every step.
    scale = getattr(scaler, "_scale", None)
    return None if scale is None else scale.detach().clone()


def independent_norm(trainer: Any) -> Any:
    """The global L2 norm of the gradients in memory, as a 0-d tensor.

    Computed at least in float32, chunk by chunk; under fp16 it is divided by the loss
    scale. None if this process does not hold whole gradients.
    """
    if _sharded(trainer):
        return None
    total = None
    for parameter in trainer.model.parameters():
        gradient = parameter.grad
        if gradient is None:
            continue
        if type(gradient) is not torch.Tensor or gradient.is_sparse:
            return None
        for chunk in _chunks(gradient.detach()):
            square = _squared_norm(chunk)
            total = square if total is None else total + square.to(total.device)
    if total is None:
        return None
    scaler = getattr(trainer.accelerator, "scaler", None)
    return total.sqrt() / (scaler.get_scale() if scaler is not None else 1.0)


def _squared_norm(values: torch.Tensor) -> torch.Tensor:
    """In float32, or in the precision of values that have more, such as float64."""
    wide = values.dtype.itemsize > 4
    norm = torch.linalg.vector_norm(values, dtype=None if wide else torch.float32)
    return norm.square()


def _chunks(gradient: torch.Tensor) -> Iterator[torch.Tensor]:
    if gradient.is_contiguous():
        yield from torch.split(gradient.view(-1), _CHUNK)
    elif gradient.numel() <= _CHUNK or gradient.dim() == 0:
        yield gradient
    else:
        for row in gradient:
            yield from _chunks(row)


class MicroBatchGradients:
    """Sums the squared norms of the micro batches' gradients, through hooks.

    A hook on a parameter sees the gradient of one backward pass before it is added up
    and before ranks reduce it.

    Args:
        parameters: The model's parameters; frozen ones are ignored.
        every: One step out of this many is measured.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], every: int) -> None:
        self._parameters = [p for p in parameters if p.requires_grad]
        self._every = every
        self._step = 0
        self._sum: Any = None
        self._failed = False
        self._handles: list[Any] = []

    def attach(self, step: int) -> None:
        """Register the hooks, after `step` optimizer steps."""
        self._step = step
        self._handles = [p.register_hook(self._see) for p in self._parameters]

    def detach(self) -> None:
        """Remove the hooks."""
        while self._handles:
            self._handles.pop().remove()

    def take(self) -> Any:
        """The sum over the step that ends; None if it was not measured."""
        total, self._sum = self._sum, None
        self._step += 1
        return None if self._failed else total

    def _see(self, gradient: torch.Tensor) -> None:
        if self._failed or self._step % self._every:
            return
        # This runs inside the backward pass: an error would end the training.
        try:
            square = _squared_norm(gradient)
            self._sum = square if self._sum is None else self._sum + square
        except Exception as error:
            self._failed = True
            reason = f"a gradient cannot be read ({type(error).__name__})"
            logger.warning(notices.no_noise_scale(reason))


def noise_scale_obstacle(trainer: Any) -> str | None:
    """Why the noise scale cannot be measured here, or None."""
    args = trainer.args
    if args.gradient_accumulation_steps * args.world_size == 1:
        return "a step has only one micro batch"
    if _sharded(trainer):
        return "gradients are sharded"
    if getattr(args, "train_sampling_strategy", None) == "batch_rebalance":
        return (
            "batch_rebalance sorts the samples of a step into micro batches by length"
        )
    if getattr(trainer.accelerator, "scaler", None) is not None:
        return "fp16 scales the loss"
    if any(name in str(args.optim).lower() for name in _IN_BACKWARD):
        return "the optimizer steps inside the backward pass"
    if loss_normalisation(trainer) == TOKEN_MEAN_OF_RANKS:
        return "each rank averages over its own tokens"
    return None


def correlated_micro_batches(trainer: Any) -> str | None:
    """Why the micro batches of a step are more alike than by chance, or None."""
    args = trainer.args
    strategy = getattr(args, "train_sampling_strategy", None)
    if getattr(args, "group_by_length", False) or strategy == "group_by_length":
        return "samples are grouped by length"
    if getattr(args, "curriculum_sampling", False) or strategy == "sequential":
        return "samples come in the order of the data"
    return None


def _sharded(trainer: Any) -> bool:
    kind = _distributed_type(trainer)
    return any(name in kind for name in _SHARDED)


def _distributed_type(trainer: Any) -> str:
    return str(getattr(trainer.accelerator, "distributed_type", "")).upper()
