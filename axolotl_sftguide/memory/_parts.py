"""Bytes of each part of a training, with the formula that gives them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from ._architecture import Architecture, Linear
from ._setting import Setting

BNB = "bitsandbytes, functional.quantize_4bit"
_OF_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj")
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
    whole = not setting.adapter
    # FSDP2 keeps what is trained in float32; DeepSpeed has a second, float32 copy.
    own = 4 if whole and setting.float32_shards else width
    by, over = _divided(setting, stage=3)
    parts = []
    rest = arch.parameters - arch.quantisable
    if setting.four_bits:
        quantised = arch.layers * sum(map(quantised_bytes, arch.linears))
        parts += [
            Part(
                "quantised weights",
                quantised // by,
                f"{arch.quantisable:,} numbers x (1/2 + 1/64 + 4/16384) bytes + "
                f"tables{over}",
                BNB,
            ),
            Part(
                "other weights",
                rest * width // by,
                f"{rest:,} numbers (embedding, output, norms) x {width} bytes{over}",
                "Axolotl 0.19.0, loaders/model.py",
            ),
        ]
    else:
        parts.append(
            Part(
                "weights",
                arch.parameters * own // by,
                f"{arch.parameters:,} numbers x {own} bytes{over}",
                "config.json",
            )
        )
    shapes = adapter_shapes(arch, setting) or [arch.parameters]
    trained, wide = sum(shapes), own if whole else 4
    if setting.adapter:
        parts.append(
            Part(
                "adapters",
                trained * wide,
                f"{trained:,} numbers x {wide} bytes (rank {setting.rank})",
                "peft, autocast_adapter_dtype",
            )
        )
    by, over = _divided(setting, stage=2)
    said = f"{trained:,} trained numbers x {wide} bytes"
    parts.append(
        Part("gradients", trained * wide // by, said + over, "one gradient for each")
    )
    if setting.cards > 1 and not setting.stage:
        source = "torch, DistributedDataParallel (gradient_as_bucket_view)"
        parts.append(Part("gradient buckets", trained * wide, said, source))
    by, over = _divided(setting, stage=1)
    copies = trained * 4 if whole and setting.float32_copies else 0
    states = optimizer_bytes(shapes, setting.optimizer, 4 if copies else wide)
    said = f"{setting.optimizer} over {trained:,} numbers"
    said += ", and a float32 copy of each" if copies else ""
    source = "bitsandbytes, optim" if "8bit" in setting.optimizer else "torch.optim"
    parts.append(Part("optimizer", (states + copies) // by, said + over, source))
    return parts


def _divided(setting: Setting, *, stage: int) -> tuple[int, str]:
    """By how many cards something is divided from a stage of ZeRO on, in words too."""
    cards = setting.cards if setting.stage >= stage else 1
    return cards, f" / {cards} cards" if cards > 1 else ""


def passing_parts(arch: Architecture, setting: Setting) -> list[Part]:
    """What a forward and backward pass holds for a while.

    What a layer keeps is counted for transformers' own modules with scaled dot-product
    attention, for peft's, and for the kernels of Axolotl 0.19.0 and of Liger 0.8; the
    tests hold it against tensors counted on a CPU, where those kernels are interpreted.
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
    if setting.four_bits:
        largest = max(linear.numbers for linear in arch.linears)
        parts.append(
            Part(
                "one weight again",
                largest * width,
                f"{largest:,} numbers x {width} bytes, dequantised",
                "the largest linear layer",
            )
        )
    if setting.cards > 1 and setting.stage == 3:
        parts.append(_gathered(arch, setting))
    if setting.adapter and setting.half:
        parts.append(_adapter_copies(arch, setting))
    parts.append(_logits(arch, setting))
    return parts


def _gathered(arch: Architecture, setting: Setting) -> Part:
    """What is divided over cards and needed whole: a layer, the next, and the rest."""
    width = 2 if setting.half else 4
    in_a_layer = (arch.quantisable + arch.biases) // arch.layers + arch.norms
    rest = arch.embedding + arch.last_norm
    layer = in_a_layer * width
    if setting.four_bits:
        layer = sum(map(quantised_bytes, arch.linears)) + arch.norms * width
    size, said = 2 * layer + rest * width, "two layers"
    if not setting.adapter:
        size, said = size + in_a_layer * width, "two layers, one layer's gradients"
    said += f" and {rest:,} numbers of embedding, output and last norm"
    return Part("gathered weights", size, said, "torch, fully_shard")


def _adapter_copies(arch: Architecture, setting: Setting) -> Part:
    """What autocast, or a kernel, computes with in place of adapters in float32."""
    name, numbers = "adapters in 16 bits", sum(adapter_shapes(arch, setting))
    if setting.checkpointing:  # autocast has ended, and those of one layer come back
        name, numbers = "its adapters in 16 bits", numbers // arch.layers
        if setting.mlp_kernel:  # which makes their gradients in 16 bits too
            numbers += 3 * setting.rank * (arch.hidden + arch.inner)
    said = f"{numbers:,} numbers x 2 bytes"
    return Part(name, 2 * numbers, said, "torch.autocast's cache")


def _kept_in_a_layer(arch: Architecture, setting: Setting) -> int:
    """Bytes a token that the backward pass of one decoder layer needs."""
    width = 2 if setting.half else 4
    core = 2 * (arch.heads + arch.kv_heads) * arch.head_width * width
    return (
        core
        + 4 * (arch.heads + 2)  # a logarithm a head, a scale a norm
        + _kept_of_the_mlp(arch, setting) * width
        + _kept_of_inputs(arch, setting) * width
        + _kept_of_the_norms(arch, setting)
    )


def _kept_of_the_mlp(arch: Architecture, setting: Setting) -> int:
    """Numbers a token between the MLP's layers."""
    if not any("gate" in linear.name for linear in arch.linears):
        kept = 2
    else:  # the gate's and the other's output, the activation, and their product
        kept = 2 if setting.mlp_kernel else 3 if setting.fused_glu else 4
    if setting.adapter and setting.half and not setting.mlp_kernel:
        kept -= 1  # a frozen layer keeps no input; its adapter has a copy
    return kept * arch.inner


def _kept_of_inputs(arch: Architecture, setting: Setting) -> int:
    """Numbers a token of what linear layers and adapters take in."""
    if not setting.adapter:
        return 2 * arch.hidden
    if not setting.half:
        return 2 * arch.hidden + setting.rank * len(setting.targets)
    # Autocast gives each adapter a copy of its input; Axolotl's kernels share one.
    kept = arch.hidden * (setting.mlp_kernel + setting.attention_kernels)
    for linear in arch.linears:
        of_mlp = linear.name not in _OF_ATTENTION
        shared = setting.mlp_kernel if of_mlp else setting.attention_kernels
        if linear.name in setting.targets and not shared:
            kept += linear.inputs + setting.rank
    return kept


def _kept_of_the_norms(arch: Architecture, setting: Setting) -> int:
    """Bytes a token; the first one's input is the checkpoint, where there is one."""
    width = 2 if setting.half else 4
    if setting.fused_norms:
        return (1 if setting.checkpointing else 2) * arch.hidden * width
    # Each input in float32, and what a trained scale was multiplied with.
    return 8 * arch.hidden + (0 if setting.adapter else 2 * arch.hidden * width)


def _going_back(arch: Architecture, setting: Setting) -> int:
    """Bytes a token of the gradients inside the MLP, where they are most."""
    inner, hidden = arch.inner, arch.hidden
    if setting.mlp_kernel:
        return 2 * inner + 4 * hidden + 6 * setting.rank
    if setting.adapter and setting.half:
        return 6 * inner + (8 if setting.fused_norms else 10) * hidden
    if setting.half:
        return (2 if setting.fused_glu else 4) * inner + 2 * hidden
    return 8 * inner


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
