"""The file that marks the output folder of a stopped run."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..config.json_text import parse_json
from .traces import is_run_id
from .whole_file import write_whole

MARKER = "sftguide-terminated.json"
"""The name of the file in the output folder."""

_CHECKPOINT = re.compile(r"checkpoint-(\d+)$")


@dataclass(frozen=True)
class Termination:
    """Why a run was stopped, and its last good checkpoint."""

    run_id: str
    rule: str
    reason: str
    step: int
    """The optimizer step at which the run ended."""
    samples_seen: int
    bad_since: int
    """The first bad optimizer step."""
    last_good_checkpoint: str | None = None
    found_at: int | None = None
    """The optimizer step at which the rule found the run bad, if it is known."""
    loaded_checkpoint: str | None = None
    """The good checkpoint whose weights the trainer loaded at the end, if it did."""
    best_step: int | None = None
    """The optimizer step of the best evaluation, if `evaluation` stopped the run."""
    best_checkpoint: str | None = None
    """The checkpoint of that evaluation, or else the nearest, if there is one."""
    parked: bool = False
    """Whether its sweep may resume the run, from `last_good_checkpoint`."""

    @property
    def weights_are_lost(self) -> bool:
        """Whether the saved weights are non-finite or diverged."""
        bad = self.rule in ("non_finite", "divergence")
        return bad and self.loaded_checkpoint is None

    def __str__(self) -> str:
        if self.parked:
            after = f"its sweep may resume it from {self.last_good_checkpoint}"
        elif self.best_step is None:
            after = f"last good checkpoint: {self.last_good_checkpoint or 'none'}"
        else:
            best = self.best_checkpoint or "none"
            after = f"checkpoint of the best evaluation or nearest to it: {best}"
        if self.loaded_checkpoint is not None:
            after += f", and these are the weights of {self.loaded_checkpoint}"
        return (
            f"run {self.run_id} was {'parked' if self.parked else 'stopped'} at step "
            f"{self.step} by {self.rule} "
            f"({self.reason}); {after}"
        )


# A later version may add fields; the run is still a stopped one.
_FIELDS = frozenset(f.name for f in fields(Termination))


def _checked(values: dict[str, Any]) -> Termination:
    """A marker whose fields have their types, or a `ValueError`."""
    from pydantic import TypeAdapter

    # As JSON, because a strict dataclass takes no mapping of Python.
    adapter, text = TypeAdapter(Termination), json.dumps(values)
    found: Termination = adapter.validate_json(text, strict=True)
    if not is_run_id(found.run_id):
        raise ValueError(f"{found.run_id!r:.80} is not the id of a run")
    return found


def mark(output_dir: str | Path, termination: Termination) -> Path:
    """Write the marker."""
    path = Path(output_dir) / MARKER
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(termination), indent=2) + "\n")
    return path


def read_marker(output_dir: str | Path) -> Termination | None:
    """The marker of an output folder; None if there is no readable one."""
    path = Path(output_dir) / MARKER
    try:
        values = dict(parse_json(path.read_text(encoding="utf-8")))
        known = {k: v for k, v in values.items() if k in _FIELDS}
        return _checked(known)
    except (OSError, ValueError, TypeError):
        return None


def clear(output_dir: str | Path) -> None:
    """Remove the marker, when a new run starts in the folder."""
    with suppress(FileNotFoundError, NotADirectoryError):
        (Path(output_dir) / MARKER).unlink()


def checkpoint_step(path: str | Path) -> int | None:
    """The optimizer step of a checkpoint folder named `checkpoint-N`."""
    found = _CHECKPOINT.search(str(path).rstrip("/\\"))
    return int(found.group(1)) if found else None


def latest_checkpoint(output_dir: str | Path) -> str | None:
    """The newest checkpoint in an output folder."""
    return last_good_checkpoint(output_dir, bad_since=sys.maxsize)


def last_good_checkpoint(output_dir: str | Path, bad_since: int) -> str | None:
    """The newest checkpoint from before the first bad step."""
    steps = {
        step: path
        for path in Path(output_dir).glob("checkpoint-*")
        if (step := checkpoint_step(path)) is not None and step < bad_since
    }
    return str(steps[max(steps)]) if steps else None
