"""Whether the installed Axolotl knows the keys that a sweep varies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ..config.settings import BLOCK
from ..errors import Problem, SettingsError, nearest_hint

_ASK = """
from axolotl_sftguide.hosts.axolotl import known_keys

print(*known_keys(), sep="\\n")
"""


def check_keys(keys: Iterable[str], recipe: Mapping[str, Any]) -> None:
    """Refuse keys that neither the recipe nor Axolotl knows.

    Axolotl drops a misspelt key without a word: all trials would be the same. It is
    asked in a process of its own, as it loads torch, and only about keys that the
    recipe does not hold.

    Raises:
        SettingsError: With one line for each such key.
    """
    new = {key.split(".")[0] for key in keys} - recipe.keys()
    if not new:
        return
    asked = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True)
    if asked.returncode:
        return  # without Axolotl, which the first trial will say
    known = {*asked.stdout.split(), *recipe, BLOCK}
    problems = [
        Problem(key, "is not a key of Axolotl", nearest_hint(key, known))
        for key in sorted(new - known)
    ]
    if problems:
        raise SettingsError(problems)
