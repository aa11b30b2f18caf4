"""Reads YAML configs; an unreadable file is a one-line error."""

from __future__ import annotations

from collections.abc import Mapping
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
        raise _refused(path, "must be a mapping of keys to values")
    return {str(key): value for key, value in loaded.items()}


def _refused(path: str | Path, message: str) -> SettingsError:
    return SettingsError([Problem(str(path), message)])


def with_values(text: str, values: Mapping[str, int]) -> str:
    """The text of a YAML mapping with other numbers for some of its top-level keys.

    All else stays byte for byte: comments, order, quotes and line breaks. PyYAML tells
    where each value is; writing the document anew, as ruamel.yaml does, would reformat
    lists and move comments. A key that is not in the text is appended.
    """
    root = yaml.compose(text)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    places = {key.value: value for key, value in pairs}
    present = [key for key in values if key in places]
    for key in sorted(present, key=lambda k: -places[k].start_mark.index):
        start, end = places[key].start_mark.index, places[key].end_mark.index
        text = f"{text[:start]}{values[key]}{text[end:]}"
    added = [f"{key}: {value}" for key, value in values.items() if key not in places]
    return "\n".join([text.rstrip("\n"), *added]) + "\n" if added else text
