"""Whether the installed Axolotl knows the keys that a sweep varies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ..config.settings import BLOCK
from ..errors import Problem, SettingsError, nearest_hint

# `python -c` puts the working folder first, whose files must not be imported.
_PRINT_KEYS = """
import sys

sys.path = [folder for folder in sys.path if folder]
from axolotl_sftguide.hosts.axolotl import known_keys

print(*known_keys(), sep="\\n")
"""


def check_keys(keys: Iterable[str], recipe: Mapping[str, Any]) -> None:
    """Refuse keys that neither the recipe nor Axolotl knows.

    Axolotl drops a misspelt key silently, and all trials would be the same. A child
    process reads Axolotl's keys, because that loads torch, and only if the recipe lacks
    one of the keys.

    Raises:
        SettingsError: With one problem for each such key.
    """
    new = {key.split(".")[0] for key in keys} - recipe.keys()
    if not new:
        return
    command = [sys.executable, "-c", _PRINT_KEYS]
    child = subprocess.run(command, capture_output=True, text=True)
    if child.returncode:
        return  # Axolotl is not installed; the first trial reports it
    known = {*child.stdout.split(), *recipe, BLOCK}
    problems = [
        Problem(key, "is not a key of Axolotl", nearest_hint(key, known))
        for key in sorted(new - known)
    ]
    if problems:
        raise SettingsError(problems)
