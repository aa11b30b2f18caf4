"""The logits and their gradients, by the loss that makes them."""

from __future__ import annotations

from math import ceil

from ._architecture import Architecture
from ._setting import Setting
from ._states import Part, adapter_shapes


def logits(arch: Architecture, setting: Setting) -> Part:
    """What they take at their most."""
    tokens, words, width = setting.tokens, arch.words, 2 if setting.half else 4
    if setting.loss == "cut":
        return Part(
            "logits",
            tokens * arch.hidden * width,
            f"{tokens:,} tokens x {arch.hidden} x {width}: never written",
            "cut cross-entropy, arXiv 2411.09009",
        )
    if setting.loss == "liger":
        rows = min(tokens, _power_of_two(ceil(tokens / ceil(words / arch.hidden))))
        size = rows * words * (width + 4) + tokens * arch.hidden * width
        said = (
            f"{rows:,} tokens at once x {words:,} words x ({width} + 4) + the gradient "
            "of the hidden states"
        )
        if not setting.adapter or setting.whole_modules:
            # It adds each chunk's in float32 to the gradient, which waits for its turn.
            size += words * arch.hidden * (2 * width + 4)
            said += f", and of the output x {2 * width + 4}"
        elif setting.checkpointing and not setting.fused_adapters:
            # It is made in the forward pass, where autocast still has its copies.
            size += 2 * sum(adapter_shapes(arch, setting))
            said += ", and all adapters in 16 bits"
        return Part("logits", size, said, "Liger, fused linear cross-entropy")
    # Chunked: in 16 bits, accelerate makes a float32 copy of what the model returns.
    copies = (6 if setting.half else 8) if setting.loss == "chunked" else 12
    copies += width if arch.capped_logits else 0
    return Part(
        "logits",
        tokens * words * copies + 3 * tokens * arch.hidden * width,
        f"{tokens:,} tokens x ({words:,} words x {copies} + {3 * width * arch.hidden})",
        "transformers: three copies in float32, going back"
        if setting.loss == "plain"
        else "Axolotl 0.19.0, chunked_cross_entropy",
    )


def _power_of_two(value: int) -> int:
    """The least that is not below."""
    return 1 << max(0, (value - 1).bit_length())
