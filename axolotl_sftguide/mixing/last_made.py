"""The most recent mix of given settings, noted in a file beside the mixes.

Computing the id of a mix means reading all its files. `axolotl evaluate` needs the mix
without that delay.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from ..config.mix_settings import MixSettings


def note_last_made(mixes: Path, settings: MixSettings, name: str) -> None:
    """Note the name of a mix's folder; an error of the disk is ignored."""
    with suppress(OSError):
        _note(mixes, settings).write_text(name + "\n", encoding="utf-8")


def read_last_made(mixes: Path, settings: MixSettings) -> tuple[str, str] | None:
    """The data and held-out files of the most recent mix, if it still exists."""
    try:
        name = _note(mixes, settings).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    for ending in ("jsonl", "parquet"):
        data = mixes / name / f"data.{ending}"
        if data.is_file():
            return str(data), str(mixes / name / f"held-out.{ending}")
    return None


def _note(mixes: Path, settings: MixSettings) -> Path:
    digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()
    return mixes / f".{digest[:12]}.made"
