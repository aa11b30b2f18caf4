"""Samples and trained tokens of one micro batch, counted on the device."""

from __future__ import annotations

from typing import Any

import torch


def count_samples(inputs: Any) -> Any:
    """Training samples in one micro batch, without a host synchronisation.

    Without packing, the number of rows. With packing, the larger of two counts:
    segment numbers in the attention mask (Axolotl writes 1, 2, 3, ... into it), and
    stretches in which `position_ids` restarts with 0, 1 and a token is trained.
    Stretches without a trained token are not counted, because Axolotl numbers the
    padding at the end of a row like a further sample.

    Args:
        inputs: A mapping of tensors of shape `(rows, tokens, ...)`.

    Returns:
        An integer or a 0-d tensor; None if the batch does not show it.
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
    """Tokens with a label after the causal shift, as a 0-d tensor, or None."""
    labels = _tensor(inputs, "labels")
    if labels is None or labels.dim() < 2:
        return None
    return (labels[:, 1:] != -100).sum()


def _tensor(inputs: Any, name: str) -> torch.Tensor | None:
    value = inputs.get(name) if hasattr(inputs, "get") else None
    return value if isinstance(value, torch.Tensor) else None
