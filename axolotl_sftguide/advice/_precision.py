"""Number formats that a kernel or the gradient scaler does not take."""

from __future__ import annotations

from collections.abc import Iterator

from ._finding import Finding, Weight
from ._view import View

WRONG = Weight.WRONG


def precision(view: View) -> Iterator[Finding]:
    """Flash attention in float32, and all weights in float16."""
    half = view.get("fp16") or view.get("float16")
    bf16 = view.config.get("bf16", "auto")
    wide = view.get("bfloat16") or (bf16 and bf16 != "auto")
    attention = view.attention or ""
    if (
        not bf16
        and not half
        and not view.get("bfloat16")
        and not view.get("load_in_8bit")
        and attention.startswith("flash_attention")
    ):
        yield Finding(
            WRONG,
            "bf16",
            view.get("bf16"),
            f"attn_implementation: {attention} needs bf16 or fp16, and both are off",
            "the run ends in an error at the first step",
            "Set bf16: true, or attn_implementation: sdpa",
            id="flash-attention-float32",
        )
    alone = not (view.get("deepspeed") or view.fsdp_is_set or view.get("adapter"))
    if view.get("fp16") and not wide and alone:
        yield Finding(
            WRONG,
            "fp16",
            view.get("fp16"),
            "fp16 without an adapter loads all weights in float16",
            "the run ends in an error when gradients are unscaled",
            "Set bf16: true, or train an adapter",
            id="float16-weights",
        )
