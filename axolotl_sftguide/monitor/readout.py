"""Reads captured steps from the device: one synchronisation, summed over the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..signals.comparability import TOKEN_MEAN
from ..signals.noise_scale import noise_in_squared_norm
from .accumulation import loss_normalisation
from .capture import PendingStep, Signals
from .ranks import Ranks

_UNKNOWN = -1.0
_COLUMNS = tuple(Signals.__dataclass_fields__)
_SAME_ON_ALL_RANKS = ("grad_norm", "independent_norm", "loss_scale")


@dataclass(frozen=True, slots=True)
class CapturedStep:
    """One optimizer step over all ranks, on the host."""

    step: int
    learning_rate: float
    loss: float
    grad_norm: float | None
    """None if nothing was captured at the clip."""
    samples: int | None
    """Samples of this step over all ranks; None if the batches do not show it."""
    trained_tokens: int | None
    rows: int | None = None
    """Rows of the micro batches over all ranks."""
    micro_batches: int = 1
    """Micro batches over all ranks."""
    epoch: float | None = None
    """The host's epoch after this step."""
    skipped: bool = False
    """Whether the fp16 loss scaler skipped the step."""
    without_gradients: bool = False
    """Whether no parameter had a gradient when the norm was taken."""
    independent_norm: float | None = None
    """The norm computed a second time; None if it was not computed."""
    grad_noise: float | None = None
    """The noise in the squared norm; None if it was not measured."""


class StepReadout:
    """Moves pending steps to the host.

    Args:
        trainer: The trainer that took the steps.
        ranks: Its ranks.
    """

    def __init__(self, trainer: Any, ranks: Ranks) -> None:
        self._device = trainer.args.device
        self._ranks = ranks
        self._normalisation = loss_normalisation(trainer)
        scaler = getattr(trainer.accelerator, "scaler", None)
        self._scale: float = scaler.get_scale() if scaler is not None else 0.0

    def table(self, steps: Sequence[PendingStep]) -> torch.Tensor:
        """One row per signal and one column per step, on the device."""
        dtype = torch.float32 if self._device.type == "mps" else torch.float64
        flat = [
            torch.as_tensor(
                _scalar(getattr(step.signals, name)), dtype=dtype, device=self._device
            )
            for name in _COLUMNS
            for step in steps
        ]
        return torch.stack(flat).view(len(_COLUMNS), -1) if flat else torch.empty(0)

    def read(
        self, steps: Sequence[PendingStep], table: torch.Tensor
    ) -> list[CapturedStep]:
        """The values of the steps over all ranks. Collective."""
        if not steps:
            return []
        rows = zip(*self._over_all_ranks(table).tolist(), strict=True)
        return [
            self._captured(step, dict(zip(_COLUMNS, row, strict=True)))
            for step, row in zip(steps, rows, strict=True)
        ]

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

    def _captured(self, pending: PendingStep, row: dict[str, float]) -> CapturedStep:
        # Zero after an optimizer has stepped: it has cleared the gradients.
        cleared = pending.weights_changed and row["grad_norm"] == 0
        measured = pending.signals.grad_norm is not None and not cleared
        before, self._scale = self._scale, row["loss_scale"]
        checked = pending.signals.independent_norm is not None
        return CapturedStep(
            step=pending.step,
            learning_rate=pending.learning_rate,
            loss=row["loss"],
            grad_norm=row["grad_norm"] if measured else None,
            samples=_known(row["samples"]),
            trained_tokens=_known(row["trained_tokens"]),
            rows=_known(row["rows"]),
            micro_batches=round(row["micro_batches"]),
            epoch=pending.epoch,
            # The scaler halves its scale at each overflow, at the start often several
            # times in a row. Below a scale of 1 the gradients themselves overflow.
            skipped=1 <= row["loss_scale"] < before,
            without_gradients=pending.without_gradients or cleared,
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


def _scalar(value: Any) -> Any:
    if value is None:
        return _UNKNOWN
    if hasattr(value, "full_tensor"):  # a sharded norm; collective
        value = value.full_tensor()
    return value.detach() if isinstance(value, torch.Tensor) else float(value)


def _known(value: float) -> int | None:
    return None if value < 0 else round(value)
