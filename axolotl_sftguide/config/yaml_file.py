"""Reads YAML configs; an unreadable file is a one-line error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import Problem, SettingsError
from .yaml_edits import Edit, edited


def read_config(path: str | Path) -> dict[str, Any]:
    """Read the mapping in a YAML file.

    Raises:
        SettingsError: If the file cannot be read or does not hold a mapping.
    """
    text = read_text(path)
    try:
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # a date may be out of range
        line = " ".join(str(error).split())
        raise _refused(path, f"is not valid YAML ({line})") from None
    if not isinstance(loaded, dict):
        raise _refused(path, "must be a mapping of keys to values")
    return {str(key): value for key, value in loaded.items()}


def read_text(path: str | Path) -> str:
    """The text of a file.

    Raises:
        SettingsError: If the file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise _refused(path, f"is not valid YAML ({error})") from None


def _refused(path: str | Path, message: str) -> SettingsError:
    return SettingsError([Problem(str(path), message)])


def with_values(text: str, values: Mapping[str, int]) -> str:
    """The text of a config with other numbers for some of its top-level keys.

    Everything else is unchanged. A key that is not in the text is appended.
    """
    return edited(text, [Edit("set", key, value) for key, value in values.items()])
