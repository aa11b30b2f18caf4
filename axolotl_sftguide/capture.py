"""Takes the signals of every optimizer step from a live trainer (torch only).

The three methods below are wrapped on the trainer's instance while it trains:

    accelerator.clip_grad_norm_   returns the global norm before clipping; a callback
                                  that reads `p.grad` would see clipped gradients
    training_step                 sees each micro batch and its loss
    log                           carries our keys to every integration of the host

Values stay on the device until the host logs: one synchronisation per log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

_UNKNOWN = -1.0


@dataclass(slots=True)
class CapturedStep:
    """One optimizer step, on the host."""

    step: int
    learning_rate: float
    loss: float
    grad_norm: float | None
    """None where nothing was captured at the clip."""
    samples: int | None
    """Samples of this step over all ranks; None where a batch cannot tell."""
    trained_tokens: int | None


@dataclass(slots=True)
class _Pending:
    step: int
    learning_rate: float
    loss: Any
    grad_norm: Any
    samples: Any
    trained_tokens: Any


class StepCapture:
    """Wraps one trainer's instance and collects its steps.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        on_log: Called with the logs before the host writes them; may add keys.
        on_error: Called when a training step raises; the error goes on.
        on_fault: Called with a fault of our own; training goes on without us.
    """

    def __init__(
        self,
        trainer: Any,
        *,
        on_log: Callable[[dict[str, Any]], None],
        on_error: Callable[[BaseException], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._trainer = trainer
        self._on_log = on_log
        self._on_error = on_error
        self._on_fault = on_fault
        self._pending: list[_Pending] = []
        self._undo: list[Callable[[], None]] = []
        self._active = False
        self._start_step()

    def attach(self) -> None:
        """Wrap the methods of this instance."""
        self._active = True
        self._wrap(self._trainer.accelerator, "clip_grad_norm_", self._clip)
        self._wrap(self._trainer, "training_step", self._training_step)
        self._wrap(self._trainer, "log", self._log)

    def detach(self) -> None:
        """Give the instance its own methods back."""
        self._active = False
        while self._undo:
            self._undo.pop()()

    def end_step(self, step: int, learning_rate: float) -> None:
        """Close the optimizer step whose micro batches were seen."""
        if self._loss is None:
            return
        self._pending.append(
            _Pending(
                step,
                learning_rate,
                self._loss,
                self._norm,
                self._samples,
                self._tokens,
            )
        )
        self._start_step()

    def drain(self) -> list[CapturedStep]:
        """All steps since the last call, with one host synchronisation.

        Collective where several ranks train: every rank calls it at the same log.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return []
        device = self._trainer.args.device
        dtype = torch.float32 if device.type == "mps" else torch.float64
        columns = [
            [_scalar(getattr(p, name)) for p in pending]
            for name in ("loss", "grad_norm", "samples", "trained_tokens")
        ]
        table = torch.stack(
            [
                torch.stack([torch.as_tensor(v, dtype=dtype, device=device) for v in c])
                for c in columns
            ]
        )
        rows = self._over_all_ranks(table).tolist()
        return [
            CapturedStep(
                p.step,
                p.learning_rate,
                loss,
                None if p.grad_norm is None else norm,
                _known(samples),
                _known(tokens),
            )
            for p, loss, norm, samples, tokens in zip(pending, *rows, strict=True)
        ]

    def agree(self, stop: bool) -> bool:
        """Whether any rank wants to stop. Collective where several ranks train."""
        if self._trainer.args.world_size == 1:
            return stop
        flag = torch.tensor(float(stop), device=self._trainer.args.device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        return bool(flag.item())

    def _over_all_ranks(self, table: torch.Tensor) -> torch.Tensor:
        world_size = self._trainer.args.world_size
        if world_size == 1:
            return table
        unknown = (table < 0).any(dim=1, keepdim=True)
        summed = table.clone()
        torch.distributed.all_reduce(summed)
        summed[0] /= world_size
        summed[1] = table[1]  # the clip's norm is global already, the same on all
        summed[2:] = torch.where(unknown[2:], _UNKNOWN, summed[2:])
        return summed

    def _start_step(self) -> None:
        self._loss: Any = None
        self._norm: Any = None
        self._samples: Any = 0
        self._tokens: Any = 0

    def _wrap(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        original = getattr(owner, name)
        shadowed = vars(owner).get(name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if not self._active:
                return original(*args, **kwargs)
            return around(original, *args, **kwargs)

        def undo() -> None:
            # Where somebody wrapped after us, our wrapper stays and only passes on.
            if vars(owner).get(name) is not wrapped:
                return
            if shadowed is None:
                delattr(owner, name)
            else:
                setattr(owner, name, shadowed)

        setattr(owner, name, wrapped)
        self._undo.append(undo)

    def _clip(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        norm = original(*args, **kwargs)
        if self._norm is None:
            self._norm = norm.detach() if isinstance(norm, torch.Tensor) else norm
        return norm

    def _training_step(
        self, original: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any
    ) -> Any:
        self._harmless(lambda: self._count(inputs))
        try:
            loss = original(model, inputs, *args, **kwargs)
        except BaseException as error:
            self._harmless(partial(self._on_error, error))
            raise
        self._harmless(lambda: self._add_loss(loss))
        return loss

    def _log(self, original: Any, logs: dict[str, Any], *args: Any, **kw: Any) -> Any:
        self._harmless(lambda: self._on_log(logs))
        return original(logs, *args, **kw)

    def _count(self, inputs: Any) -> None:
        samples, tokens = count_samples(inputs), count_trained_tokens(inputs)
        self._samples = None if samples is None else _add(self._samples, samples)
        self._tokens = None if tokens is None else _add(self._tokens, tokens)

    def _add_loss(self, loss: torch.Tensor) -> None:
        loss = loss.detach()
        self._loss = loss if self._loss is None else self._loss + loss

    def _harmless(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as fault:
            self.detach()
            self._on_fault(fault)


def count_samples(inputs: Any) -> Any:
    """Training samples in one micro batch, without a host synchronisation.

    Rows where nothing is packed. Under packing, the larger of two counts: segment
    numbers in the attention mask (Axolotl writes 1, 2, 3, ... into it), and stretches
    that `position_ids` starts anew with 0, 1 and that train a token: Axolotl numbers
    the padding at the end of a row like a sample of its own.

    Args:
        inputs: A mapping of tensors of shape `(rows, tokens, ...)`.

    Returns:
        An integer or a 0-d tensor; None where the batch cannot tell.
    """
    ids = _tensor(inputs, "input_ids")
    if ids is None:
        return None
    rows = ids.shape[0]
    counts: list[Any] = []
    mask = _tensor(inputs, "attention_mask")
    if mask is not None and mask.dim() == 2 and not mask.is_floating_point():
        counts.append(mask.to(torch.int64).amax(dim=-1).sum())
    positions = _tensor(inputs, "position_ids")
    if positions is not None and positions.dim() == 2:
        counts.append(_count_stretches(positions, _tensor(inputs, "labels")))
    if not counts:
        return rows
    return torch.stack([c.to(ids.device) for c in counts]).amax().clamp(min=rows)


def _count_stretches(positions: torch.Tensor, labels: torch.Tensor | None) -> Any:
    starts = torch.zeros_like(positions)
    starts[:, :-1] = (positions[:, :-1] == 0) & (positions[:, 1:] == 1)
    if labels is None or labels.shape != positions.shape:
        return starts.sum()
    stretch = starts.cumsum(dim=-1)
    trained = (labels != -100).to(stretch.dtype)
    rows, tokens = stretch.shape
    per_stretch = stretch.new_zeros(rows, tokens + 1)
    return (per_stretch.scatter_add_(-1, stretch, trained) > 0).sum()


def count_trained_tokens(inputs: Any) -> Any:
    """Tokens that carry a label after the causal shift, as a 0-d tensor, or None."""
    labels = _tensor(inputs, "labels")
    if labels is None or labels.dim() < 2:
        return None
    return (labels[:, 1:] != -100).sum()


def _tensor(inputs: Any, name: str) -> torch.Tensor | None:
    value = inputs.get(name) if hasattr(inputs, "get") else None
    return value if isinstance(value, torch.Tensor) else None


def _add(total: Any, value: Any) -> Any:
    return None if total is None else total + value


def _scalar(value: Any) -> Any:
    if value is None:
        return _UNKNOWN
    if hasattr(value, "full_tensor"):  # a sharded norm; collective
        value = value.full_tensor()
    return value.detach() if isinstance(value, torch.Tensor) else float(value)


def _known(value: float) -> int | None:
    return None if value < 0 else round(value)
