"""The settings of a mix, from wherever they are written."""

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
    """The settings from a YAML file: of a mix, or of a run that holds one.

    Raises:
        SettingsError: With every problem found, one line each.
    """
    config = read_config(path)
    if "phases" in config:
        return load_mix(config, path=str(path))
    block = config.get(BLOCK)
    if not isinstance(block, dict) or "mix" not in block:
        message = f"holds neither `phases` nor `{BLOCK}.mix`: nothing to mix"
        raise SettingsError([Problem(str(path), message)])
    return load_mix(block["mix"], path=f"{path}: {BLOCK}.mix")
