"""What stays from step to step: weights, adapters, gradients, optimizer."""

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
