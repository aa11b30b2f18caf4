"""Keys that Axolotl drops although they ask for what happens anyway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._view import View

_FSDP = {
    "sharding_strategy": ("FULL_SHARD", "1", 1),
    "limit_all_gathers": (True,),
    "forward_prefetch": (False,),
}
"""Values that are FSDP's own defaults."""

_SPEED = ("limit_all_gathers", "forward_prefetch", "backward_prefetch")

_STEPWISE = {"step_separator": "\n", "train_on_last_step_only": False}
_ROLES = ("user", "assistant", "system", "tool")


def is_inert(view: View, block: str, key: str, value: Any) -> bool:
    """Whether a dropped key has the value that applies without it."""
    if block == "fsdp_config":
        return value in _FSDP.get(key, ())
    if block != "datasets":
        return False
    if key in _STEPWISE:
        return bool(value == _STEPWISE[key])
    if key == "message_property_mappings":
        fields = ("role", "content")
        return isinstance(value, Mapping) and value == {f: f for f in fields}
    if key in ("message_field_role", "message_field_content"):
        return bool(value == key.rpartition("_")[2])
    if key == "roles":
        return isinstance(value, Mapping) and all(
            role in _ROLES and names in ([role], role) for role, names in value.items()
        )
    return key == "trust_remote_code"


def only_speed(block: str, key: str) -> bool:
    """Whether a dropped key changes nothing but the speed."""
    return block == "fsdp_config" and key in _SPEED
