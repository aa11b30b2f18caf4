"""`preview`: the first conversations of each source, as the model sees them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config.mix_settings import MixSettings, SourceSettings
from ..errors import MixError
from ._faults import RowFault
from ._lengths import Lengths, lengths_of
from ._mix import as_settings
from ._rendered import Segments, load_tokenizer, plain_segments, rendered_segments
from ._scan import lazy_rows
from ._tokens import token_counter, tokenizer_at

_LENGTHS = 1000
"""Rows whose lengths are counted."""


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
    lengths: Lengths | None = None
    """The lengths of its first 1,000 usable rows; None without a tokenizer."""


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
    place = None if name is None else tokenizer_at(name, root)
    loaded = None if place is None else load_tokenizer(place)
    found = []
    for phase in settings.phases:
        for source in phase.datasets:
            own = _previewed(phase.name, source, root, rows, loaded)
            if place is not None and own.rows:
                own.lengths = lengths_of(_first_lengths(source, root, place))
            found.append(own)
    return found


def _previewed(
    phase: str, source: SourceSettings, root: Path, wanted: int, tokenizer: Any
) -> PreviewedSource:
    found = PreviewedSource(phase, source.path)
    for label, number, read in lazy_rows(source, root):
        if len(found.rows) >= wanted or len(found.problems) >= wanted:
            return found
        try:
            form, own = read()
            found.rows.append(_row(label, number, form, own, tokenizer))
        except (RowFault, MixError) as error:
            found.problems.append(f"{label}: row {number}: {error}")
    return found


def _first_lengths(source: SourceSettings, root: Path, tokenizer: str) -> list[int]:
    """The lengths of the first usable rows."""
    count = token_counter(tokenizer)
    found: list[int] = []
    for _, _, read in lazy_rows(source, root):
        # A template may refuse a row with any exception.
        with suppress(Exception):
            found.append(count(read()[1]))
        if len(found) == _LENGTHS:
            break
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
