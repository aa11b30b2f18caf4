"""The layers that have adapters, as peft finds them by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import PlanError
from ._architecture import Architecture

OF_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj")
TABLES = {"embed_tokens": "model.embed_tokens", "lm_head": "lm_head"}
"""The embedding and the output, with their full names."""


class Targets(NamedTuple):
    """Where adapters are."""

    linears: tuple[str, ...] = ()
    """Names of the linear layers in a decoder layer."""
    layers: tuple[int, ...] = ()
    """For each of them the number of decoder layers in which it has an adapter."""
    tables: int = 0
    """Number of embedding tables with adapters."""


def find_targets(config: Mapping[str, Any], architecture: Architecture) -> Targets:
    """The layers that a config puts adapters on.

    Raises:
        PlanError: If no layer of the model gets one.
    """
    names = tuple(linear.name for linear in architecture.linears)
    if not config.get("adapter"):
        return Targets()
    asked = config.get("lora_target_modules") or []
    every = config.get("lora_target_linear") or "all-linear" in asked
    pattern = asked if isinstance(asked, str) and not every else None
    listed = [] if pattern else [asked] if isinstance(asked, str) else list(asked)
    if every:
        listed = [*map(str, listed), *names]
    chosen = config.get("peft_layers_to_transform")
    chosen = [chosen] if isinstance(chosen, int) else chosen
    layers = range(architecture.layers)
    if isinstance(chosen, list) and chosen:
        layers = [layer for layer in layers if layer in chosen]  # type: ignore[assignment]
    counts = {
        name: sum(
            _matches(_full_name(name, layer), pattern, listed) for layer in layers
        )
        for name in names
    }
    found = {name: count for name, count in counts.items() if count}
    tables = sum(_matches(full, pattern, listed) for full in TABLES.values())
    if not found and not tables and not config.get("lora_target_parameters"):
        raise PlanError(
            f"no layer of this model gets an adapter: lora_target_modules is "
            f"{asked or 'not set'}; set lora_target_linear: true, or some of "
            f"{', '.join(names)}"
        )
    return Targets(tuple(found), tuple(found.values()), tables)


def _full_name(name: str, layer: int) -> str:
    inside = "self_attn" if name in OF_ATTENTION else "mlp"
    return f"model.layers.{layer}.{inside}.{name}"


def _matches(full: str, pattern: str | None, listed: list[Any]) -> bool:
    """Whether peft puts an adapter on a layer: text is a pattern, a list has names."""
    if pattern is None:
        return any(full == str(n) or full.endswith(f".{n}") for n in listed)
    try:
        return re.fullmatch(pattern, full) is not None
    except re.error:
        raise PlanError(
            f"lora_target_modules is no valid regular expression: {pattern}"
        ) from None
