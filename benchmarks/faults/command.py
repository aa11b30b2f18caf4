"""`sftguide` in this process, and what its output must not contain."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

from campaign import LONGEST_MESSAGE, Wrong

PROJECT = Path(__file__).parents[2]
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that move the cursor, colour, hide or turn what follows."""


def sftguide(*words: Any, at_most: int = 40 * LONGEST_MESSAGE) -> str:
    """What the command prints. Raises what left it, if that is no clear error."""
    from click.testing import CliRunner

    from axolotl_sftguide.cli import main

    args = [str(word) for word in words]
    done = CliRunner().invoke(main, args, catch_exceptions=True, color=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code not in (0, 1, 2):
        raise Wrong(f"exit status {done.exit_code}")
    # What was written, as the terminal would get it.
    text = _OWN_STYLE.sub("", done.stdout_bytes.decode() + done.stderr_bytes.decode())
    require_harmless(text, "the output of " + " ".join(args[:2]), at_most)
    return text


def require_harmless(text: str, where: str, at_most: int) -> None:
    """A terminal shows the text as it is, and a person can read it."""
    found = _CONTROL.search(text)
    if found is not None:
        name = unicodedata.name(found.group(), f"U+{ord(found.group()):04X}")
        raise Wrong(f"{where} has the control character {name}")
    if len(text) > at_most:
        raise Wrong(f"{where} has {len(text) // 1000:,} thousand characters")


_OWN_STYLE = re.compile("\x1b\\[(?:0|1|2|22|(?:[012];)?[39][0-7])m")
"""What click and rich write for bold, dim and colours; no hostile text has these."""


def recipes() -> list[str]:
    """The texts of the shipped recipes."""
    return [p.read_text() for p in sorted((PROJECT / "recipes").glob("*.yml"))]
