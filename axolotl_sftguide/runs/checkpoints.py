"""The checkpoints in an output folder, and the note that each carries of its run."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..config.json_text import parse_json
from .marker import checkpoint_step
from .traces import is_run_id
from .whole_file import write_whole

NOTE = "sftguide-run.json"
"""The name of the note in a checkpoint."""


@dataclass(frozen=True)
class Note:
    """What a checkpoint says of its run."""

    run_id: str
    step: int
    samples_seen: int
    """Training samples seen up to the checkpoint."""
    only_parked: bool = False
    """Whether it was saved to park the run, and for no other reason."""


_FIELDS = frozenset(f.name for f in fields(Note))


def write_note(checkpoint: str | Path, note: Note) -> None:
    """Write the note into a checkpoint, if the folder exists."""
    folder = Path(checkpoint)
    if folder.is_dir():
        write_whole(folder / NOTE, json.dumps(asdict(note), indent=2) + "\n")


def begin_checkpoint(checkpoint: str | Path, note: Note) -> None:
    """Make the folder of a checkpoint that is about to be saved, with its note."""
    Path(checkpoint).mkdir(parents=True, exist_ok=True)
    write_note(checkpoint, note)


def read_note(checkpoint: str | Path) -> Note | None:
    """The note of a checkpoint; None if it has no readable one."""
    try:
        values = parse_json((Path(checkpoint) / NOTE).read_text(encoding="utf-8"))
        note = Note(**{k: v for k, v in values.items() if k in _FIELDS})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    counts = (note.step, note.samples_seen)
    sound = all(type(n) is int and n >= 0 for n in counts) and is_run_id(note.run_id)
    return note if sound else None


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written completely.

    Transformers writes the trainer's state last, so a kill leaves it out.
    """
    steps = {checkpoint_step(path): path for path in folder.glob("checkpoint-*")}
    for _, path in sorted((s, p) for s, p in steps.items() if s is not None)[::-1]:
        try:
            parse_json((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return path
    return None


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def remove_parked(folder: Path, but: Path | None = None) -> None:
    """Remove the checkpoints that were only saved to park the run in a folder.

    Args:
        folder: The output folder.
        but: A checkpoint to keep.
    """
    for path in folder.glob("checkpoint-*"):
        note = read_note(path)
        if path != but and note is not None and note.only_parked:
            shutil.rmtree(path, ignore_errors=True)
