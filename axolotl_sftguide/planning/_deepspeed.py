"""What DeepSpeed's file says on memory, or its name where the file is not here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..config.deepspeed import deepspeed_settings


class Zero(NamedTuple):
    """ZeRO's stage, and what it keeps in the host's memory."""

    stage: int = 0
    offloads_optimizer: bool = False
    offloads_weights: bool = False


def read_zero(deepspeed: Any) -> Zero:
    """Read ZeRO's settings from a mapping, a file, or the name of one of Axolotl's."""
    block = deepspeed_settings(deepspeed)
    if block is None:
        return _by_name(str(deepspeed or ""))
    zero = block.get("zero_optimization")
    if not isinstance(zero, Mapping):
        return Zero()
    stage = zero.get("stage")
    optimizer, weights = (
        _is_offloaded(zero.get(f"offload_{part}")) for part in ("optimizer", "param")
    )
    return Zero(stage if isinstance(stage, int) else 0, optimizer, weights)


def _is_offloaded(block: Any) -> bool:
    return isinstance(block, Mapping) and block.get("device") in ("cpu", "nvme")


def _by_name(path: str) -> Zero:
    name = path.rpartition("/")[2]
    named = re.search(r"zero_?([123])", name)
    if named is None:
        return Zero()
    everything = "offload_all" in name
    weights = everything or "offload_params" in name
    return Zero(int(named[1]), everything, weights)
