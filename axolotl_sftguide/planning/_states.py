"""Memory held from step to step: weights, adapters, gradients, optimizer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from ._architecture import Architecture, Linear
from ._optimizer import states_bytes
from ._setting import Setting

BNB = "bitsandbytes, functional.quantize_4bit"
_BLOCK, _NESTED = 64, 256
_CODES = 16 * 4 + 256 * 4 + 4
"""Bytes of each quantised weight's tables: 16 NF4 values, 256 scales, an offset."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the memory."""

    name: str
    size_bytes: int
    note: str
    """What the part is, in a few words."""
    formula: str
    source: str
    """The library or document that the formula follows."""


def quantised_bytes(linear: Linear, bits: int | None = 4) -> int:
    """Bytes of a quantised weight, exact: NF4 twice quantised, or 8 bits by row."""
    numbers = linear.numbers
    if bits == 8:
        return numbers + 4 * linear.outputs
    blocks = ceil(numbers / _BLOCK)
    return ceil(numbers / 2) + blocks + 4 * ceil(blocks / _NESTED) + _CODES


def adapter_shapes(arch: Architecture, setting: Setting) -> list[int]:
    """Sizes of the tensors trained beside the model's own weights."""
    if not setting.adapter:
        return []
    counts = dict(zip(setting.targets, setting.target_layers, strict=True))
    shapes = [
        size
        for linear in arch.linears
        for size in (setting.rank * linear.inputs, setting.rank * linear.outputs)
        for _ in range(counts.get(linear.name, 0))
    ]
    shapes += [setting.rank * n for n in (arch.vocabulary, arch.hidden)] * (
        setting.target_tables
    )
    return shapes + [arch.vocabulary * arch.hidden] * setting.whole_modules


def state_parts(arch: Architecture, setting: Setting) -> list[Part]:
    """The parts held from step to step."""
    width = 2 if setting.half else 4
    whole = not setting.adapter
    # FSDP2 keeps what is trained in float32; DeepSpeed has a second, float32 copy.
    own = 4 if whole and setting.float32_shards else width
    by, over = _divided(setting, stage=3)
    parts = []
    rest = arch.parameters - arch.quantisable
    if setting.bits:
        quantised = arch.layers * sum(
            quantised_bytes(linear, setting.bits) for linear in arch.linears
        )
        four = setting.bits == 4
        parts += [
            Part(
                "quantised weights",
                quantised // by,
                "linear layers in NF4" if four else "linear layers in 8 bits",
                f"{arch.quantisable:,} numbers x "
                + ("(1/2 + 1/64 + 4/16384) bytes + tables" if four else "1 byte + rows")
                + over,
                BNB,
            ),
            Part(
                "other weights",
                rest * width // by,
                f"embedding, output, norms in {8 * width} bits",
                f"{rest:,} numbers (embedding, output, norms) x {width} bytes{over}",
                "Axolotl 0.19.0, loaders/model.py",
            ),
        ]
    else:
        more = arch.quantisable * (4 - own) if setting.upcast_linears else 0
        parts.append(
            Part(
                "weights",
                (arch.parameters * own + more) // by,
                f"all parameters in {8 * own} bits"
                if not more
                else f"linear layers in 32 bits, others in {8 * own}",
                f"{arch.parameters:,} numbers x {own} bytes"
                + (f" + {more:,} bytes" if more else "")
                + over,
                "config.json",
            )
        )
    shapes = adapter_shapes(arch, setting)
    if not setting.adapter:
        shapes = [arch.parameters]
    trained, wide = sum(shapes), own if whole else 2 if setting.half_adapters else 4
    if setting.adapter:
        parts.append(
            Part(
                "adapters",
                trained * wide,
                f"rank {setting.rank}, in {8 * wide} bits",
                f"{trained:,} numbers x {wide} bytes (rank {setting.rank})",
                "TRL, SFTTrainer" if wide == 2 else "peft, autocast_adapter_dtype",
            )
        )
    by, over = _divided(setting, stage=2)
    formula = f"{trained:,} trained numbers x {wide} bytes"
    note = f"of trained weights, in {8 * wide} bits"
    parts.append(
        Part("gradients", trained * wide // by, note, formula + over, "torch.autograd")
    )
    if setting.gpus > 1 and not setting.stage:
        source = "torch, DistributedDataParallel (gradient_as_bucket_view)"
        note = "DDP's copy of the gradients"
        parts.append(Part("gradient buckets", trained * wide, note, formula, source))
    by, over = _divided(setting, stage=1)
    copies = trained * 4 if whole and setting.float32_copies else 0
    states = states_bytes(arch, setting, shapes, 4 if copies else wide)
    formula = f"{setting.optimizer} over {trained:,} numbers"
    formula += ", and a float32 copy of each" if copies else ""
    source = "bitsandbytes, optim" if "8bit" in setting.optimizer else "torch.optim"
    size = (states + copies) // by
    parts.append(Part("optimizer", size, setting.optimizer, formula + over, source))
    return [_offloaded(part, setting) for part in parts]


def _offloaded(part: Part, setting: Setting) -> Part:
    """A part as it is on the GPU: nothing if it is kept in the host's memory."""
    of_optimizer = part.name in ("gradients", "optimizer")
    away = setting.offloads_optimizer if of_optimizer else setting.offloads_weights
    of_weights = part.name.endswith("weights") or (
        part.name == "adapters" and setting.float32_shards
    )
    if not away or not (of_optimizer or of_weights):
        return part
    note = f"in the host's memory: {part.size_bytes / 2**30:.2f} GiB"
    return replace(part, size_bytes=0, note=note)


def _divided(setting: Setting, *, stage: int) -> tuple[int, str]:
    """How many GPUs divide a part from this stage of ZeRO on, and a text for it."""
    gpus = setting.shards if setting.stage >= stage else 1
    return gpus, f" / {gpus} GPUs" if gpus > 1 else ""
