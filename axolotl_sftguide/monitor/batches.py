"""Samples and trained tokens of one micro batch, counted on the device.

What a batch does not show is unknown (None), never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch

_CUMULATIVE_LENGTHS = ("cu_seq_lens_q", "cu_seqlens", "cu_seq_lens")
"""Where the samples of a flattened batch begin and end."""


def count_samples(inputs: Any) -> Any:
    """Training samples in one micro batch, without a host synchronisation.

    Of a flattened batch, as many as its cumulative lengths or its sequence index
    show. Without packing, the
    number of rows. With packing, the larger of two counts: segment numbers in the
    attention mask (Axolotl writes 1, 2, 3, ... into it), and stretches in which
    `position_ids` restart and a token is trained. Stretches without a trained token
    are not counted, because Axolotl numbers the padding at the end of a row like a
    further sample.

    Args:
        inputs: A mapping of tensors of shape `(rows, tokens, ...)`.

    Returns:
        An integer or a 0-d tensor; None if the batch does not show it.
    """
    ids = _tensor(inputs, "input_ids")
    if ids is None:
        return count_rows(inputs)
    for name in _CUMULATIVE_LENGTHS:
        ends = _tensor(inputs, name)
        if ends is not None and ends.dim() == 1:
            return (ends[1:] > ends[:-1]).sum()
    index = _tensor(inputs, "seq_idx")
    if index is not None and index.dim() == 2:
        return (index.amax(dim=-1) + 1).sum()
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


def count_rows(inputs: Any) -> int | None:
    """The first dimension of `input_ids`, or else of the other tensors.

    Where their first dimensions differ, as with a tensor of class weights, it is that
    of `labels`.
    """
    ids = _tensor(inputs, "input_ids")
    if ids is not None:
        return int(ids.shape[0])
    if not isinstance(inputs, Mapping):
        return None
    tensors = [v for v in inputs.values() if isinstance(v, torch.Tensor) and v.dim()]
    sizes = {int(tensor.shape[0]) for tensor in tensors}
    labels = _tensor(inputs, "labels")
    if len(sizes) > 1 and labels is not None and labels.dim():
        return int(labels.shape[0])
    return sizes.pop() if len(sizes) == 1 else None


def _count_stretches(positions: torch.Tensor, labels: torch.Tensor | None) -> Any:
    # The first position is 0 in most models, and 2 in RoBERTa.
    first = positions.amin()
    starts = torch.zeros_like(positions)
    starts[:, :-1] = (positions[:, :-1] == first) & (positions[:, 1:] == first + 1)
    if labels is None or labels.shape != positions.shape:
        return starts.sum()
    stretch = starts.cumsum(dim=-1)
    trained = (labels != -100).to(stretch.dtype)
    rows, tokens = stretch.shape
    per_stretch = stretch.new_zeros(rows, tokens + 1)
    return (per_stretch.scatter_add_(-1, stretch, trained) > 0).sum()


Labels = Literal["next token", "own token", "decoder"]


def labels_of(model: Any) -> Labels | None:
    """What the labels of a model stand for; None for an unknown model.

    A causal language model predicts the next token, so the first label is not used. A
    masked language model and a token classifier label each token itself. The decoder
    of an encoder-decoder shifts its inputs in place of the labels.
    """
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = getattr(model, "config", None)
    if config is None or not hasattr(model, "can_generate"):
        return None
    if getattr(config, "is_encoder_decoder", False):
        return "decoder"
    return "next token" if model.can_generate() else "own token"


def count_trained_tokens(inputs: Any, labels_are: Labels | None) -> Any:
    """Tokens with a label, as a 0-d tensor.

    Args:
        inputs: A mapping of tensors.
        labels_are: What the labels stand for; see `labels_of`.

    Returns:
        None if the labels are not integers for each token.
    """
    labels, ids = _tensor(inputs, "labels"), _tensor(inputs, "input_ids")
    if labels is None or labels_are is None or labels.dim() != 2:
        return None
    if labels.is_floating_point() or labels.dtype == torch.bool:
        return None
    if labels_are != "decoder" and (ids is None or labels.shape != ids.shape):
        return None
    if labels_are != "next token":
        return (labels != -100).sum()
    return (labels[:, 1:] != -100).sum() if labels.shape[1] > 1 else None


def _tensor(inputs: Any, name: str) -> torch.Tensor | None:
    value = inputs.get(name) if hasattr(inputs, "get") else None
    return value if isinstance(value, torch.Tensor) else None
