"""Reads YAML configs; an unreadable file is a one-line error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..errors import Problem, SettingsError


def read_config(path: str | Path) -> dict[str, Any]:
    """Read the mapping in a YAML file.

    Raises:
        SettingsError: If the file cannot be read or holds no mapping.
    """
    try:
        loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise _refused(path, f"is not valid YAML ({line})") from None
    if not isinstance(loaded, dict):
        raise _refused(path, "must hold a mapping of keys")
    return {str(key): value for key, value in loaded.items()}


def _refused(path: str | Path, message: str) -> SettingsError:
    return SettingsError([Problem(str(path), message)])
