"""Bytes of an optimizer's states."""

from __future__ import annotations

from math import ceil

from ._architecture import Architecture
from ._setting import Setting


def optimizer_bytes(shapes: list[int], optimizer: str, width: int) -> int:
    """Bytes of an optimizer's states.

    Args:
        shapes: Number of elements of each trained tensor.
        optimizer: Axolotl's name for the optimizer.
        width: Bytes per trained element.
    """
    name = optimizer.lower()
    states = 1 if any(word in name for word in ("lion", "muon")) else 2
    if name == "sgd":
        return 0  # torch.optim.SGD without momentum
    if "8bit" in name or "fp8" in name:
        return sum(_eight_bits(size, states) for size in shapes)
    if "4bit" in name:
        return sum(states * (ceil(size / 2) + 4 * ceil(size / 128)) for size in shapes)
    if "adafactor" in name:
        return sum(shapes) * width // 100
    return sum(shapes) * states * (4 if "32bit" in name else width)


def _eight_bits(size: int, states: int) -> int:
    # Small tensors keep float32 states (bitsandbytes, min_8bit_size).
    if size < 4096:
        return states * 4 * size
    return states * (size + 4 * ceil(size / 256))


def states_bytes(
    arch: Architecture, setting: Setting, shapes: list[int], width: int
) -> int:
    """Bytes of the states of a plan's optimizer.

    transformers keeps the states of trained embeddings in 32 bits with bitsandbytes'
    8-bit optimizers. Axolotl's Muon has one state for matrices, Adam's two for
    embedding and output, and leaves out norms and biases.
    """
    name, table = setting.optimizer.lower(), arch.vocabulary * arch.hidden
    if name == "muon":
        tables = table * setting.whole_modules if setting.adapter else arch.embedding
        matrices = sum(shapes) - tables if setting.adapter else arch.quantisable
        return (matrices + 2 * tables) * width
    size = optimizer_bytes(shapes, setting.optimizer, width)
    of_bitsandbytes = "8bit" in name and "torch" not in name
    trained = setting.saves_embedding if setting.adapter else True
    if of_bitsandbytes and trained and setting.stage == 0:
        states = 1 if "lion" in name else 2
        size += states * 4 * table - _eight_bits(table, states)
    return size
