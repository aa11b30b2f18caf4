"""Bytes of each part of a training, with the formula that gives them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from ._architecture import Architecture, Linear
from ._setting import Setting

BNB = "bitsandbytes, functional.quantize_4bit"
_BLOCK, _NESTED = 64, 256
_CODES = 16 * 4 + 256 * 4 + 4
"""Tables of each quantised weight: NF4's 16 values, 256 of the scales', an offset."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the memory."""

    name: str
    size_bytes: int
    formula: str
    source: str


def quantised_bytes(linear: Linear) -> int:
    """A weight in NF4 with double quantisation, exact."""
    numbers = linear.numbers
    blocks = ceil(numbers / _BLOCK)
    return ceil(numbers / 2) + blocks + 4 * ceil(blocks / _NESTED) + _CODES


def adapter_shapes(arch: Architecture, setting: Setting) -> list[int]:
    """Numbers of each tensor that is trained beside the model's own."""
    if not setting.adapter:
        return []
    shapes = [
        size
        for linear in arch.linears
        if linear.name in setting.targets
        for size in (setting.rank * linear.inputs, setting.rank * linear.outputs)
    ] * arch.layers
    return shapes + [arch.words * arch.hidden] * setting.whole_modules


def optimizer_bytes(shapes: list[int], optimizer: str, width: int) -> int:
    """The states of an optimizer over tensors of these sizes.

    Args:
        shapes: Numbers of each tensor.
        optimizer: Axolotl's name of it.
        width: Bytes of a trained number.
    """
    name = optimizer.lower()
    states = 1 if any(word in name for word in ("lion", "sgd", "muon")) else 2
    if "8bit" in name:
        return sum(_eight_bits(size, states) for size in shapes)
    if "4bit" in name:
        return sum(states * (ceil(size / 2) + 4 * ceil(size / 128)) for size in shapes)
    if "adafactor" in name:
        return sum(shapes) * width // 100
    return sum(shapes) * states * (4 if "32bit" in name else width)


def _eight_bits(size: int, states: int) -> int:
    # Small tensors keep whole numbers (bitsandbytes, min_8bit_size).
    if size < 4096:
        return states * 4 * size
    return states * (size + 4 * ceil(size / 256))


def state_parts(arch: Architecture, setting: Setting) -> list[Part]:
    """What stays from step to step: weights, adapters, gradients, optimizer."""
    width = 2 if setting.half else 4
    over = f" / {setting.shards} cards" if setting.shards > 1 else ""
    # FSDP2 and ZeRO keep what is trained in float32, and gather copies to compute.
    own = 4 if setting.shards > 1 and not setting.adapter else width
    parts = []
    rest = arch.parameters - arch.quantisable
    if setting.four_bits:
        quantised = arch.layers * sum(map(quantised_bytes, arch.linears))
        parts += [
            Part(
                "quantised weights",
                quantised // setting.shards,
                f"{arch.quantisable:,} numbers x (1/2 + 1/64 + 4/16384) bytes + "
                f"tables{over}",
                BNB,
            ),
            Part(
                "other weights",
                rest * width // setting.shards,
                f"{rest:,} numbers (embedding, output, norms) x {width} bytes{over}",
                "Axolotl 0.19.0, loaders/model.py",
            ),
        ]
    else:
        parts.append(
            Part(
                "weights",
                arch.parameters * own // setting.shards,
                f"{arch.parameters:,} numbers x {own} bytes{over}",
                "config.json",
            )
        )
    shapes = adapter_shapes(arch, setting) or [arch.parameters]
    trained, wide = sum(shapes), 4 if setting.adapter else own
    if setting.adapter:
        parts.append(
            Part(
                "adapters",
                trained * wide,
                f"{trained:,} numbers x {wide} bytes (rank {setting.rank})",
                "peft, autocast_adapter_dtype",
            )
        )
    parts.append(
        Part(
            "gradients",
            trained * wide // setting.shards,
            f"{trained:,} trained numbers x {wide} bytes{over}",
            "one gradient for each",
        )
    )
    parts.append(
        Part(
            "optimizer",
            optimizer_bytes(shapes, setting.optimizer, wide) // setting.shards,
            f"{setting.optimizer} over {trained:,} numbers{over}",
            "bitsandbytes, optim" if "8bit" in setting.optimizer else "torch.optim",
        )
    )
    return parts


def passing_parts(arch: Architecture, setting: Setting) -> list[Part]:
    """What a forward and backward pass holds for a while.

    The counts of what a layer keeps are those of transformers' own modules with
    scaled dot-product attention, and of peft's without Axolotl's kernels, which keep
    less; the tests hold them against tensors counted on a CPU.
    """
    width = 2 if setting.half else 4
    tokens = setting.tokens
    layer = tokens * _kept_in_a_layer(arch, setting)
    parts = []
    if setting.checkpointing:
        parts.append(
            Part(
                "checkpoints",
                arch.layers * tokens * arch.hidden * width,
                f"{arch.layers} layers x {tokens:,} tokens x {arch.hidden} x {width}",
                "one hidden state a layer",
            )
        )
        said = f"{tokens:,} tokens x {layer // tokens:,} bytes"
        parts.append(Part("one layer again", layer, said, "recomputed going back"))
    else:
        parts.append(
            Part(
                "activations",
                arch.layers * layer,
                f"{arch.layers} layers x {tokens:,} tokens x {layer // tokens:,} bytes",
                "kept from the forward to the backward pass",
            )
        )
    going_back = _going_back(arch, setting)
    parts.append(
        Part(
            "its gradients",
            tokens * going_back,
            f"{tokens:,} tokens x {going_back:,} bytes",
            "of one layer's activations, going back",
        )
    )
    if setting.four_bits or setting.shards > 1:
        largest = max(linear.numbers for linear in arch.linears)
        parts.append(
            Part(
                "one weight again",
                largest * width,
                f"{largest:,} numbers x {width} bytes, dequantised or gathered",
                "the largest linear layer",
            )
        )
    parts.append(_logits(arch, setting))
    return parts


def _kept_in_a_layer(arch: Architecture, setting: Setting) -> int:
    """Bytes a token that the backward pass of one decoder layer needs."""
    width = 2 if setting.half else 4
    gated = any("gate" in linear.name for linear in arch.linears)
    attention = (2 * arch.heads + 2 * arch.kv_heads) * arch.head_width
    inner = (4 if gated else 2) * arch.inner
    adapted = [x for x in arch.linears if x.name in setting.targets]
    ranks = setting.rank * len(adapted)
    if not setting.adapter:
        # Each norm keeps its input, in float32, what it made of it, and its output.
        in_float32 = 4 * arch.hidden if setting.half else 0
        return (6 * arch.hidden + attention + inner) * width + in_float32
    if not setting.half:
        return (4 * arch.hidden + attention + inner + ranks) * width
    # Autocast gives each adapter a copy of its input; frozen layers keep none.
    copies = sum(linear.inputs for linear in adapted)
    kept = attention + inner - arch.inner + copies + ranks
    return kept * width + 2 * arch.hidden * 4


def _going_back(arch: Architecture, setting: Setting) -> int:
    """Bytes a token of the gradients inside one layer, at their most."""
    if setting.adapter and setting.half:
        return 4 * (3 * arch.inner + arch.hidden)
    return (2 if setting.half else 4) * (2 * arch.inner + 3 * arch.hidden // 2)


def _logits(arch: Architecture, setting: Setting) -> Part:
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
        return Part(
            "logits",
            size,
            f"{rows:,} tokens at once x {words:,} words x ({width} + 4) + the "
            "gradient of the hidden states",
            "Liger, fused linear cross-entropy",
        )
    copies = 2 * width + 1 if setting.loss == "chunked" else 12
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
