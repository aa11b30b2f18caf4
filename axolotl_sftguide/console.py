"""How the package speaks to the person in front of the terminal."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Print one line that starts with the package's name, above a progress bar."""
    text = f"sftguide: {line}"
    tqdm = sys.modules.get("tqdm")
    if tqdm is not None:
        tqdm.tqdm.write(text)
        sys.stdout.flush()
    else:
        print(text, flush=True)
