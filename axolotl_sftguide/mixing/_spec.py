"""Reads the settings of a mix from a mapping or a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.mix_settings import MixSettings
from ..config.settings import BLOCK
from ..config.validation import parse
from ..config.yaml_file import read_config
from ..errors import Problem, SettingsError


def load_mix(block: Any, *, path: str = f"{BLOCK}.mix") -> MixSettings:
    """The settings of a mix from a plain mapping.

    Raises:
        SettingsError: With every problem found, one line each.
    """
    settings: MixSettings = parse(MixSettings, block, path)
    return settings


def read_mix(path: str | Path) -> MixSettings:
    """The settings of a mix from its own YAML file or from an Axolotl config.

    Raises:
        SettingsError: With every problem found, one line each.
    """
    config = read_config(path)
    if "phases" in config:
        return load_mix(config, path=str(path))
    block = config.get(BLOCK)
    if not isinstance(block, dict) or "mix" not in block:
        message = f"contains neither `phases` nor `{BLOCK}.mix`"
        raise SettingsError([Problem(str(path), message)])
    return load_mix(block["mix"], path=f"{path}: {BLOCK}.mix")
