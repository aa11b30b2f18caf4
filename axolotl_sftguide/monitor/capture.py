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

from ..signals.comparability import TOKEN_MEAN
from ..signals.noise_scale import noise_in_squared_norm
from .accumulation import loss_normalisation
from .batches import count_samples, count_trained_tokens
from .gradients import MicroBatchGradients, independent_norm
from .ranks import Ranks

_UNKNOWN = -1.0

NORM_CHECKS = 3
"""First steps whose norm is computed a second time."""


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
    independent_norm: float | None = None
    """The norm computed a second time; None where it was not, or cannot be."""
    grad_noise: float | None = None
    """The noise in the squared norm; None where it was not measured."""


@dataclass(slots=True)
class _Step:
    """One step as it is gathered: numbers and 0-d tensors of this rank."""

    loss: Any = None
    grad_norm: Any = None
    independent_norm: Any = None
    samples: Any = 0
    trained_tokens: Any = 0
    squared_tokens: Any = 0
    micro_batches: int = 0
    squared_norms: Any = None


_COLUMNS = tuple(_Step.__dataclass_fields__)
_SAME_ON_ALL_RANKS = ("grad_norm", "independent_norm")


class StepCapture:
    """Wraps one trainer's instance and collects its steps.

    Args:
        trainer: A transformers `Trainer`, or one derived from it.
        on_log: Called with the logs before the host writes them and the steps since
            the last ones; may add keys, and says whether this rank wants to stop.
        on_error: Called when a training step raises; the error goes on.
        on_fault: Called with a fault of our own; training goes on without us.
        micro_batches: What measures them, where the noise scale is wanted.
    """

    def __init__(
        self,
        trainer: Any,
        *,
        on_log: Callable[[dict[str, Any], list[CapturedStep]], bool],
        on_error: Callable[[BaseException], None],
        on_fault: Callable[[Exception], None],
        micro_batches: MicroBatchGradients | None = None,
    ) -> None:
        self._trainer = trainer
        self._ranks = Ranks(trainer)
        self._faulty = False
        self.stop = False
        """Whether any rank wanted to stop at the last log; the same on all."""
        self._on_log = on_log
        self._on_error = on_error
        self._on_fault = on_fault
        self._micro_batches = micro_batches
        self._normalisation = loss_normalisation(trainer)
        self._norm_checks = NORM_CHECKS
        self._pending: list[tuple[int, float, _Step]] = []
        self._undo: list[Callable[[], None]] = []
        self._active = False
        self._now = _Step()

    def attach(self) -> None:
        """Wrap the methods of this instance."""
        self._active = True
        self._wrap(self._trainer.accelerator, "clip_grad_norm_", self._clip)
        self._wrap(self._trainer, "training_step", self._training_step)
        self._wrap(self._trainer, "log", self._log)
        if self._micro_batches is not None:
            self._micro_batches.attach(self._trainer.state.global_step)

    def detach(self) -> None:
        """Give the instance its own methods back."""
        self._active = False
        while self._undo:
            self._undo.pop()()
        if self._micro_batches is not None:
            self._micro_batches.detach()

    def end_step(self, step: int, learning_rate: float) -> None:
        """Close the optimizer step whose micro batches were seen."""
        if self._now.loss is None:
            return
        if self._micro_batches is not None:
            self._now.squared_norms = self._micro_batches.take()
        self._pending.append((step, learning_rate, self._now))
        self._now = _Step()

    def drain(self) -> list[CapturedStep] | None:
        """All steps since the last call, with one host synchronisation.

        Collective where several ranks train: every rank calls it at the same log.

        Returns:
            None where a rank has met a fault of ours; all are let go then.
        """
        pending, self._pending = self._pending, []
        tables: list[torch.Tensor] = []
        self._harmless(lambda: tables.append(self._table([p[2] for p in pending])))
        if not self._ranks.all_well(not self._faulty, len(pending)):
            self.detach()
            return None
        if not pending:
            return []
        rows = zip(*self._over_all_ranks(tables[0]).tolist(), strict=True)
        return [
            self._captured(step, rate, gathered, dict(zip(_COLUMNS, row, strict=True)))
            for (step, rate, gathered), row in zip(pending, rows, strict=True)
        ]

    def _table(self, steps: list[_Step]) -> torch.Tensor:
        device = self._trainer.args.device
        dtype = torch.float32 if device.type == "mps" else torch.float64
        columns = [
            [_scalar(getattr(step, name)) for step in steps] for name in _COLUMNS
        ]
        flat = [
            torch.as_tensor(value, dtype=dtype, device=device)
            for column in columns
            for value in column
        ]
        return torch.stack(flat).view(len(_COLUMNS), -1) if flat else torch.empty(0)

    def _captured(
        self, step: int, learning_rate: float, gathered: _Step, row: dict[str, float]
    ) -> CapturedStep:
        measured = gathered.grad_norm is not None
        checked = gathered.independent_norm is not None
        return CapturedStep(
            step=step,
            learning_rate=learning_rate,
            loss=row["loss"],
            grad_norm=row["grad_norm"] if measured else None,
            samples=_known(row["samples"]),
            trained_tokens=_known(row["trained_tokens"]),
            independent_norm=row["independent_norm"] if checked else None,
            grad_noise=self._noise(row) if measured else None,
        )

    def _noise(self, row: dict[str, float]) -> float | None:
        if row["squared_norms"] < 0:
            return None
        if self._normalisation != TOKEN_MEAN:
            weights_squared = 1 / row["micro_batches"]
        elif row["trained_tokens"] > 0:
            weights_squared = row["squared_tokens"] / row["trained_tokens"] ** 2
        else:
            return None
        squared_norms = row["squared_norms"] / self._ranks.count**2
        return noise_in_squared_norm(
            squared_norms, row["grad_norm"] ** 2, weights_squared
        )

    def _over_all_ranks(self, table: torch.Tensor) -> torch.Tensor:
        if self._ranks.count == 1:
            return table
        unknown = (table < 0).to(table.dtype)
        total, missing = self._ranks.total(torch.stack([table, unknown]))
        summed = torch.where(missing > 0, _UNKNOWN, total)
        summed[0] = total[0] / self._ranks.count  # the mean loss may be negative
        for name in _SAME_ON_ALL_RANKS:
            row = _COLUMNS.index(name)
            summed[row] = table[row]
        return summed

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
        first = self._now.grad_norm is None
        if first and self._norm_checks > 0:
            self._norm_checks -= 1
            self._harmless(self._check_norm)
        norm = original(*args, **kwargs)
        if first:
            tensor = isinstance(norm, torch.Tensor)
            self._now.grad_norm = norm.detach() if tensor else norm
        return norm

    def _check_norm(self) -> None:
        self._now.independent_norm = independent_norm(self._trainer)

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
        if "loss" in logs or "train_runtime" in logs:
            self._at_log(logs)
        return original(logs, *args, **kw)

    def _at_log(self, logs: dict[str, Any]) -> None:
        steps = self.drain()
        if steps is None:
            return
        wants: list[bool] = []
        self._harmless(lambda: wants.append(self._on_log(logs, steps)))
        self.stop = self._ranks.any_wants(any(wants))

    def _count(self, inputs: Any) -> None:
        now = self._now
        samples, tokens = count_samples(inputs), count_trained_tokens(inputs)
        squared = None if tokens is None else tokens.float() ** 2
        now.samples = _add(now.samples, samples)
        now.trained_tokens = _add(now.trained_tokens, tokens)
        now.squared_tokens = _add(now.squared_tokens, squared)
        now.micro_batches += 1

    def _add_loss(self, loss: torch.Tensor) -> None:
        loss = loss.detach()
        self._now.loss = loss if self._now.loss is None else self._now.loss + loss

    def _harmless(self, call: Callable[[], None]) -> None:
        if self._faulty:
            return
        try:
            call()
        except Exception as fault:
            self._faulty = True
            self._on_fault(fault)
            if self._ranks.count == 1:
                self.detach()
            # Of several ranks this one goes on telling the others, until all leave.


def _add(total: Any, value: Any) -> Any:
    return None if total is None or value is None else total + value


def _scalar(value: Any) -> Any:
    if value is None:
        return _UNKNOWN
    if hasattr(value, "full_tensor"):  # a sharded norm; collective
        value = value.full_tensor()
    return value.detach() if isinstance(value, torch.Tensor) else float(value)


def _known(value: float) -> int | None:
    return None if value < 0 else round(value)
