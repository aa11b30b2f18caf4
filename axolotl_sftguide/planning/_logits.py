"""Memory of the logits and their gradients, by the loss."""

from __future__ import annotations

from math import ceil

from ._architecture import Architecture
from ._setting import Setting
from ._states import Part, adapter_shapes


def logits(arch: Architecture, setting: Setting) -> Part:
    """The logits and their gradients at their peak."""
    tokens, vocabulary, width = (
        setting.tokens,
        arch.vocabulary,
        2 if setting.half else 4,
    )
    if setting.loss == "cut":
        return Part(
            "logits",
            tokens * arch.hidden * width,
            "cut cross-entropy never stores them",
            f"{tokens:,} tokens x {arch.hidden} x {width}",
            "cut cross-entropy, arXiv 2411.09009",
        )
    if setting.loss == "trl":
        return _of_trl(arch, setting, width)
    if setting.loss == "liger":
        rows = min(tokens, _power_of_two(ceil(tokens / ceil(vocabulary / arch.hidden))))
        size = rows * vocabulary * (width + 4) + tokens * arch.hidden * width
        formula = (
            f"{rows:,} tokens at a time x {vocabulary:,} logits x ({width} + 4) + the "
            "gradient of the hidden states"
        )
        if not setting.adapter or setting.whole_modules:
            # Each chunk's gradient of the output is added up in float32.
            size += vocabulary * arch.hidden * (2 * width + 4)
            formula += f", and of the output x {2 * width + 4}"
        elif setting.checkpointing and not setting.fused_adapters:
            # The forward pass makes them while autocast still has its copies.
            size += 2 * sum(adapter_shapes(arch, setting))
            formula += ", and all adapters in 16 bits"
        source = "Liger, fused linear cross-entropy"
        return Part("logits", size, "Liger's fused loss, in chunks", formula, source)
    # Chunked: in 16 bits, accelerate copies the model's output to float32.
    copies = (6 if setting.half else 8) if setting.loss == "chunked" else 12
    copies += width if arch.capped_logits else 0
    return Part(
        "logits",
        tokens * vocabulary * copies + 3 * tokens * arch.hidden * width,
        "three float32 copies" if setting.loss == "plain" else "Axolotl's chunked loss",
        f"{tokens:,} tokens x ({vocabulary:,} logits x {copies} + "
        f"{3 * width * arch.hidden})",
        "transformers, ForCausalLMLoss"
        if setting.loss == "plain"
        else "Axolotl 0.19.0, chunked_cross_entropy",
    )


_TRL_CHUNK = 256


def _of_trl(arch: Architecture, setting: Setting, width: int) -> Part:
    """TRL's `loss_type: chunked_nll`, which casts the output layer for each chunk."""
    chunk = min(setting.tokens, _TRL_CHUNK)
    table = arch.vocabulary * arch.hidden
    trained = not setting.adapter or setting.whole_modules
    copies = 4 + (width if setting.half else 0) + (4 + width if trained else 0)
    hidden = 2 * setting.tokens * arch.hidden * width
    return Part(
        "logits",
        chunk * arch.vocabulary * (12 + width) + table * copies + hidden,
        "TRL's chunked loss",
        f"{chunk} tokens x {arch.vocabulary:,} logits x {12 + width} + {table:,} "
        f"numbers of the output x {copies} + the hidden states twice",
        "TRL 1.9, _chunked_cross_entropy_loss",
    )


def _power_of_two(value: int) -> int:
    """The smallest power of two that is not below a value."""
    return 1 << max(0, (value - 1).bit_length())
