"""`preview`: the first conversations of each source, as the model sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config.mix_settings import MixSettings, SourceSettings
from ..errors import MixError
from ._faults import RowFault
from ._forms import RowReader
from ._mix import as_settings
from ._pieces import Piece, whole_file
from ._rendered import Segments, load_tokenizer, plain_segments, rendered_segments
from ._sources import find_files
from ._spool import all_rows
from ._tokens import tokenizer_at
from ._where import matches


@dataclass(frozen=True)
class PreviewedRow:
    """One conversation."""

    source: str
    """The file."""
    row: int
    form: str
    segments: Segments
    """Its text, and which of it is trained on."""
    tokens: int | None = None
    """Its length; None without a tokenizer."""


@dataclass
class PreviewedSource:
    """The first conversations of one source."""

    phase: str
    path: str
    rows: list[PreviewedRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """The rows before them that cannot be used, and why."""


def preview(
    spec: MixSettings | Mapping[str, Any] | str | Path,
    *,
    base: str | Path | None = None,
    rows: int = 2,
    tokenizer: str | None = None,
) -> list[PreviewedSource]:
    """The first usable conversations of each source, without building the mix.

    Args:
        spec: The settings, a mapping of them, or the path of a YAML file.
        base: The folder that relative paths start from; by default the working folder.
        rows: How many conversations of each source.
        tokenizer: The model whose chat template is used; by default the one of the
            spec. Without any, messages are shown with their roles.

    Raises:
        SettingsError: If the spec is wrong.
        MixError: If a file cannot be read.
    """
    settings = as_settings(spec)
    root = Path(base or ".").resolve()
    name = tokenizer or settings.tokenizer
    loaded = None if name is None else load_tokenizer(tokenizer_at(name, root))
    return [
        _previewed(phase.name, source, root, rows, loaded)
        for phase in settings.phases
        for source in phase.datasets
    ]


def _previewed(
    phase: str, source: SourceSettings, root: Path, wanted: int, tokenizer: Any
) -> PreviewedSource:
    found = PreviewedSource(phase, source.path)
    for label, piece in _pieces(source, root):
        reader = RowReader(source, piece.kind in ("parquet", "arrow"))
        for number, row in all_rows(piece):
            if len(found.rows) >= wanted or len(found.problems) >= wanted:
                return found
            try:
                if isinstance(row, RowFault):
                    raise row
                if source.where and not matches(row, source.where):
                    continue
                form, own = reader.read(row)
                found.rows.append(_row(label, number, form, own, tokenizer))
            except (RowFault, MixError) as error:
                found.problems.append(f"{label}: row {number}: {error}")
    return found


def _row(
    label: str, number: int, form: str, own: Mapping[str, Any], tokenizer: Any
) -> PreviewedRow:
    if tokenizer is None:
        return PreviewedRow(label, number, form, plain_segments(own))
    segments = rendered_segments(own, tokenizer)
    text = "".join(part for part, _ in segments)
    tokens = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    return PreviewedRow(label, number, form, segments, tokens)


def _pieces(source: SourceSettings, root: Path) -> Iterator[tuple[str, Piece]]:
    for file in find_files(source, root):
        label = file.label or file.path.name
        for piece in whole_file(file, label, source.ds_type):
            yield label, piece
