"""Memory of an evaluation, between two steps."""

from __future__ import annotations

from ._architecture import Architecture
from ._setting import Setting
from ._states import Part


def evaluation_parts(arch: Architecture, setting: Setting) -> list[Part]:
    """The logits of a batch; empty if nothing is evaluated.

    Without a backward pass one layer's activations are small beside them. Liger's
    fused loss is for training alone: in an evaluation the model writes all logits.
    """
    rows = setting.evaluation_rows
    if not rows:
        return []
    tokens, width = rows * setting.sequence_len, 2 if setting.half else 4
    # The logits, their float32 copy for the loss, and the log-softmax.
    numbers = arch.vocabulary * (width + 4 + 4)
    formula = f"{tokens:,} tokens x {arch.vocabulary:,} logits x {width + 8}"
    if setting.loss == "cut":
        numbers, formula = arch.hidden * width, f"{tokens:,} tokens x {arch.hidden}"
    elif setting.loss == "chunked":
        numbers = arch.vocabulary * (width + 4)
        formula = f"{tokens:,} tokens x {arch.vocabulary:,} logits x {width + 4}"
    return [
        Part(
            "evaluation logits",
            tokens * numbers,
            f"a batch of {rows}",
            formula,
            "transformers, Trainer.prediction_step",
        )
    ]
