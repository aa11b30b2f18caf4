"""Over how many GPUs FSDP divides weights, gradients and optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DIVIDERS = ("tensor_parallel_size", "context_parallel_size", "dp_replicate_size")


def shards(config: Mapping[str, Any], gpus: int) -> int:
    """How many GPUs hold one copy of the model together.

    Axolotl divides it over `dp_shard_size` GPUs, else over all that replicas, tensor
    and context parallelism leave (utils/distributed.py).
    """
    given = config.get("dp_shard_size")
    if isinstance(given, int) and given > 1:
        return min(given, gpus)
    left = gpus
    for key in _DIVIDERS:
        size = config.get(key)
        left //= size if isinstance(size, int) and size > 1 else 1
    return max(1, left)


def reshards(config: Mapping[str, Any]) -> bool:
    """Whether weights that a layer has gathered are given back after its forward pass.

    transformers reads it from `fsdp_config`, or as `shard_grad_op` in `fsdp`.
    """
    block = config.get("fsdp_config")
    block = block if isinstance(block, Mapping) else {}
    given = block.get("reshard_after_forward", block.get("fsdp_reshard_after_forward"))
    if given is not None:
        return bool(given)
    listed = config.get("fsdp") or ()
    return "shard_grad_op" not in listed
