"""YAML files that are not the config of a training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._finding import Finding, Weight

_KINDS = (
    (("compute_environment", "distributed_type"), "accelerate"),
    (("zero_optimization",), "DeepSpeed"),
    (("provider",), "Axolotl's cloud launcher"),
    (("run_commands", "secrets"), "Axolotl's cloud launcher"),
    (("volumes", "branch"), "Axolotl's cloud launcher"),
    (("phases",), "sftguide mix"),
    (("space",), "sftguide sweep"),
)
"""Keys of which each file of that kind has one or more, and no training's config."""


def other_file(config: Mapping[str, Any]) -> Finding | None:
    """A note if the file configures another program; else None."""
    if config.get("base_model") or config.get("datasets"):
        return None
    for keys, program in _KINDS:
        if any(key in config for key in keys):
            return Finding(
                Weight.NOTE,
                "",
                None,
                f"This is a file for {program}, not the config of a training",
                "nothing in it was checked",
                "Check the YAML file that has base_model",
                id="other-file",
            )
    return None
