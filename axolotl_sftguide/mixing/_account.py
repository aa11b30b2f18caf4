"""The manifest of a mix that was just built: what became of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.mix_settings import MixSettings
from ..units import count
from ._examples import Examples
from ._faults import FaultCode
from ._identity import FORM
from ._lengths import lengths_of
from ._manifest import Manifest, PhasePart, Written
from ._order import largest_deviation
from ._pieces import InputFile
from ._plan import Plan, phase_of_sources
from ._sources import Inputs
from ._spool import Spooled
from ._versions import versions_of
from ._where import WhereSeen


def account(
    settings: MixSettings,
    inputs: Inputs,
    spooled: Sequence[Spooled],
    source_of: NDArray[np.uint16],
    tokens: NDArray[np.uint32] | None,
    made: Plan,
    written: Mapping[str, Written],
    excluded: Sequence[tuple[int, int]],
    examples: Examples,
) -> Manifest:
    """The manifest.

    Args:
        settings: The settings of the mix.
        inputs: Its files.
        spooled: The pieces after the first pass.
        source_of: The source of each row.
        tokens: The tokens of each row, if they are counted.
        made: The plan.
        written: The files of the mix.
        excluded: For each excluded file, its rows and those that the sources have.
        examples: Some of the rows that are left out for a likeness.
    """
    order = source_of[made.train]
    deviation = None
    if settings.strategy == "stacked" and len(made.train):
        deviation = round(largest_deviation(order), 3)
    return Manifest(
        form=FORM,
        settings=settings.model_dump(mode="json"),
        parts=_parts(settings, inputs, spooled, source_of, tokens, made),
        excluded_files=[
            {**file, "rows": rows, "matched": matched}
            for file, (rows, matched) in zip(
                _files(inputs.excluded), excluded, strict=True
            )
        ],
        trains_by_turn=any(piece.has_message_key("train") for piece in spooled),
        trains_by_part=any(piece.has_message_key("train_detail") for piece in spooled),
        notes=[
            *inputs.notes,
            *_unmet(settings, spooled),
            *_costs_of_shares(settings, made),
        ],
        largest_prefix_deviation_rows=deviation,
        lengths=None if tokens is None else lengths_of(tokens[made.train]),
        near_duplicate_examples=examples.near_duplicates,
        overlap_examples=examples.overlaps,
        written=dict(written),
        versions=versions_of(settings, written),
    )


def _unmet(settings: MixSettings, spooled: Sequence[Spooled]) -> list[str]:
    """The values that `where` lists and no row of their source has."""
    found = []
    for index, source in enumerate(settings.sources):
        seen = WhereSeen()
        for piece in spooled:
            if piece.piece.source == index:
                seen.add(piece.where)
        found += [f"{source.path}: {line}" for line in seen.unmet(source.where)]
    return found


def _parts(
    settings: MixSettings,
    inputs: Inputs,
    spooled: Sequence[Spooled],
    source_of: NDArray[np.uint16],
    tokens: NDArray[np.uint32] | None,
    made: Plan,
) -> list[PhasePart]:
    phases = phase_of_sources(settings)
    count = len(settings.sources)
    order = source_of[made.train]
    rows = np.bincount(order, minlength=count)
    held_out = np.bincount(source_of[made.held_out], minlength=count)
    row_tokens = None
    if tokens is not None:
        row_tokens = np.bincount(order, tokens[made.train].astype(np.float64), count)
    near = _near_duplicates(settings, source_of, made)
    parts = []
    for source, own in enumerate(settings.sources):
        pieces = [piece for piece in spooled if piece.piece.source == source]
        forms: Counter[str] = Counter()
        faults: Counter[FaultCode] = Counter()
        passed: Counter[str] = Counter()
        for piece in pieces:
            passed.update(piece.passed)
            forms.update(piece.forms)
            faults.update(piece.faults)
        parts.append(
            PhasePart(
                phase=settings.phases[phases[source]].name,
                path=own.path,
                files=_files(file for file in inputs.files if file.source == source),
                forms=dict(sorted(forms.items())),
                rows_read=sum(piece.rows_read for piece in pieces),
                filtered=sum(piece.filtered for piece in pieces),
                faults={str(code): n for code, n in sorted(faults.items())},
                duplicates={
                    settings.sources[before].path: number
                    for (again, before), number in sorted(made.duplicates.items())
                    if again == source
                },
                near_duplicates=near.get(source, {}),
                excluded=made.excluded.get(source, 0),
                not_drawn=made.not_drawn.get(source, 0),
                held_out=int(held_out[source]),
                repeated=made.repeated.get(source, 0),
                rows=int(rows[source]),
                tokens=None if row_tokens is None else int(row_tokens[source]),
                not_read=dict(sorted(passed.items())),
            )
        )
    return parts


def _near_duplicates(
    settings: MixSettings, source_of: NDArray[np.uint16], made: Plan
) -> dict[int, dict[str, int]]:
    """For each source, its near-duplicates by the source of the row that is kept."""
    pairs = Counter(
        zip(
            source_of[made.near.rows].tolist(),
            source_of[made.near.originals].tolist(),
            strict=True,
        )
    )
    found: dict[int, dict[str, int]] = {}
    for (again, before), number in sorted(pairs.items()):
        path = settings.sources[before].path
        own = found.setdefault(again, {})
        own[path] = own.get(path, 0) + number
    return found


def _costs_of_shares(settings: MixSettings, made: Plan) -> Iterator[str]:
    """What the shares cost, and what would keep all rows."""
    cut = sum(n for n in made.cut.values() if n > 1)
    if not cut or made.limiting is None:
        return
    own = settings.sources[made.limiting]
    others = [i for i, n in made.cut.items() if n > 1]
    names = ", ".join(settings.sources[i].path for i in others)
    share = "its part of the rest" if own.share is None else f"share: {own.share:g}"
    yield (
        f"{own.path} has too few rows for {share}, so that {count(cut)} rows of "
        f"{names} are left out; upsample: true keeps them and repeats rows instead"
    )


def _files(files: Iterable[InputFile]) -> list[dict[str, Any]]:
    return [
        {"file": file.label, "size_bytes": file.size_bytes, "sha256": file.sha256}
        for file in files
    ]
