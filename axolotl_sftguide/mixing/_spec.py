"""Reads the settings of a mix from a mapping or a YAML file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config.mix_settings import MixSettings
from ..config.settings import BLOCK
from ..config.validation import parse
from ..config.yaml_file import read_config
from ..errors import Problem, SettingsError, did_you_mean


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
    block = config.get(BLOCK)
    if "phases" in config:
        block, key = config, ""
    elif isinstance(block, dict) and "mix" in block:
        block, key = block["mix"], f"{BLOCK}.mix"
    else:
        near = next(filter(None, (did_you_mean(k, ["phases"]) for k in config)), "")
        message = f"contains neither `phases` nor `{BLOCK}.mix`{near}"
        raise SettingsError([Problem(str(path), message)])
    try:
        return load_mix(block, path=key)
    except SettingsError as error:
        raise SettingsError(
            [replace(p, path=f"{path}: {p.path}") for p in error.problems]
        ) from None
