"""What a mix was made of, and what became of each row."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import MixError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Written:
    """One file of a mix."""

    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class PhasePart:
    """One source: what was read of it, and where each row has gone.

    `rows_read` is the sum of `filtered`, `faults`, `duplicates`, `excluded`,
    `not_drawn`, `held_out` and `rows`, less `repeated`.
    """

    phase: str
    path: str
    files: list[dict[str, Any]]
    forms: dict[str, int]
    """Rows by the form that was seen."""
    rows_read: int
    filtered: int
    """Left out by `where`."""
    faults: dict[str, int]
    """Left out because they cannot be used, by the text of the fault's kind."""
    duplicates: dict[str, int]
    """Left out because a row says the same, by the source of that row."""
    excluded: int
    """Left out because they stand in a file that is excluded."""
    not_drawn: int
    """Left out to keep to `max_rows` and to the shares."""
    held_out: int
    repeated: int
    """Stand there once more because that was asked for."""
    rows: int
    """In the dataset."""
    tokens: int | None = None
    """Of these rows, where they were counted."""


@dataclass(frozen=True)
class Manifest:
    """The whole of it."""

    form: int
    settings: dict[str, Any]
    parts: list[PhasePart]
    excluded_files: list[dict[str, Any]]
    trains_by_turn: bool
    """Whether turns say themselves if they are trained on (`train`)."""
    largest_prefix_deviation_rows: float | None
    """How far any prefix is off from the ratios of the whole, where it is stacked."""
    written: dict[str, Written]

    def to_json(self) -> str:
        """As it lies on the disk."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a whole mix; None where there is none.

    Raises:
        MixError: Where it is not one of ours.
    """
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MixError(f"{path}: cannot be read ({error})") from None
    try:
        return Manifest(
            **{
                **values,
                "parts": [PhasePart(**part) for part in values["parts"]],
                "written": {n: Written(**w) for n, w in values["written"].items()},
            }
        )
    except (KeyError, TypeError) as error:
        raise MixError(f"{path}: is not a manifest of this version ({error})") from None
