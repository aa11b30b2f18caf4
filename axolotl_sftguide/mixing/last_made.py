"""Which mix was made last of some settings: a note beside the mixes.

To know a mix for certain all its files have to be read. Who must answer at once takes
the note's word.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from ..config.mix_settings import MixSettings


def note_last_made(mixes: Path, settings: MixSettings, name: str) -> None:
    """Note the name of a mix's folder; a note that cannot be written is left out."""
    with suppress(OSError):
        _note(mixes, settings).write_text(name + "\n", encoding="utf-8")


def read_last_made(mixes: Path, settings: MixSettings) -> tuple[str, str] | None:
    """The data and the held-out rows of the mix made last, if it is still there."""
    try:
        name = _note(mixes, settings).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    data, aside = (mixes / name / file for file in ("data.jsonl", "held-out.jsonl"))
    return (str(data), str(aside)) if data.is_file() else None


def _note(mixes: Path, settings: MixSettings) -> Path:
    digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()
    return mixes / f".{digest[:12]}.made"
