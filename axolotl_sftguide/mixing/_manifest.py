"""The manifest of a mix: its files, its settings, and the rows of each source."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..config.json_text import parse_json
from ..config.validation import rules_of, shown
from ..errors import MixError

DATA = "data"
HELD_OUT = "held-out"
"""The names of the files, without their endings `.jsonl` or `.parquet`."""
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Written:
    """One file of a mix."""

    rows: int
    size_bytes: int
    sha256: str
    rows_sha256: str | None = None
    """Of a Parquet file, the checksum of its rows as JSON lines."""


@dataclass(frozen=True)
class PhasePart:
    """One source: how many rows were read, and what became of them.

    `rows_read` is the sum of `filtered`, `faults`, `duplicates`, `near_duplicates`,
    `excluded`, `not_drawn`, `held_out` and `rows`, less `repeated`.
    """

    phase: str
    path: str
    files: list[dict[str, Any]]
    forms: dict[str, int]
    """Usable rows by their form."""
    rows_read: int
    filtered: int
    """Rows left out by `where`."""
    faults: dict[str, int]
    """Rows that cannot be used, by the code of the fault (version 0.1.0: its text)."""
    duplicates: dict[str, int]
    """Duplicates left out, by the source of the row that is kept."""
    excluded: int
    """Rows left out because an excluded file contains them."""
    not_drawn: int
    """Rows left out by `max_rows`, `max_tokens` or the shares."""
    held_out: int
    """Rows in the held-out file."""
    repeated: int
    """Repetitions of rows in the dataset, from `repeats`, `replay` or `upsample`."""
    rows: int
    """Rows in the dataset, with repetitions."""
    tokens: int | None = None
    """Tokens of these rows, if they are counted."""
    near_duplicates: dict[str, int] = field(default_factory=dict)
    """Near-duplicates left out, by the source of the row that is kept."""
    not_read: dict[str, int] = field(default_factory=dict)
    """Rows by the columns, and messages by the keys, that were left out of them."""


@dataclass(frozen=True)
class Manifest:
    """The whole manifest."""

    form: int
    settings: dict[str, Any]
    parts: list[PhasePart]
    excluded_files: list[dict[str, Any]]
    trains_by_turn: bool
    """Whether messages have a `train` flag."""
    largest_prefix_deviation_rows: float | None
    """The most rows by which a source in any prefix is off its share, if stacked."""
    written: dict[str, Written]
    trains_by_part: bool = False
    """Whether parts of messages have a `train` flag."""
    notes: list[str] = field(default_factory=list)
    """What was not read, one line each."""
    lengths: dict[str, Any] | None = None
    """The lengths of the rows in tokens, if they are counted, see `_lengths`."""
    near_duplicate_examples: list[dict[str, Any]] = field(default_factory=list)
    """The least similar of the near-duplicates, with the rows that are kept."""
    overlap_examples: list[dict[str, Any]] = field(default_factory=list)
    """The rows with the least overlap with a question of an excluded file."""
    versions: dict[str, str] = field(default_factory=dict)
    """The versions of the libraries that decide which rows it has, or their bytes."""

    def file(self, name: str) -> str | None:
        """The file that is called `DATA` or `HELD_OUT`; None if there is none."""
        return next((f for f in self.written if f.partition(".")[0] == name), None)

    @property
    def ds_type(self) -> str:
        """The kind of the files, as both hosts call it."""
        return "parquet" if str(self.file(DATA)).endswith(".parquet") else "json"

    @property
    def training_fields(self) -> dict[str, str]:
        """Axolotl's settings that make it heed the training flags."""
        fields = {}
        if self.trains_by_turn:
            fields["message_field_training"] = "train"
        if self.trains_by_part:
            fields["message_field_training_detail"] = "train_detail"
        return fields

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a finished mix; None if there is no manifest.

    Raises:
        MixError: If it cannot be read or not a manifest of this version.
    """
    path = folder / MANIFEST
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise MixError(f"{path}: cannot be read ({error})") from None
    try:
        made = Manifest(
            **{
                **values,
                "parts": [PhasePart(**part) for part in values["parts"]],
                "written": {n: Written(**w) for n, w in values["written"].items()},
            }
        )
        checked: Manifest = TypeAdapter(Manifest).validate_python(asdict(made))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        text = f"{where} {rules_of([first])}, got {shown(first['input'])}"
        raise MixError(f"{path}: not a manifest of this version ({text})") from None
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        line = " ".join(str(error).split())[:200]
        raise MixError(f"{path}: not a manifest of this version ({line})") from None
    files = [*made.excluded_files, *(f for part in made.parts for f in part.files)]
    if not all(_is_text(f.get("file")) and _is_text(f.get("sha256")) for f in files):
        raise MixError(f"{path}: not a manifest of this version (a file has no name)")
    if any(Path(name).name != name for name in made.written):
        raise MixError(f"{path}: names a file outside of its folder")
    return checked


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
