"""Building a mix: read all rows, plan the dataset, write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..config.mix_settings import MixSettings
from ..errors import MixError
from ._account import account
from ._columns import Hashes, Rows
from ._empty import refuse_empty
from ._examples import Examples, near_duplicate_examples, overlap_examples
from ._exclusion import read_excluded
from ._extras import Wanted
from ._forms import for_workers
from ._kwargs import keep_their_keys, write_with_kwargs
from ._manifest import DATA, HELD_OUT, Manifest, Written
from ._near import Bands, find_near_duplicates
from ._overlap import Overlaps
from ._parquet import reads_as_dates, write_parquet
from ._plan import Plan, phase_of_sources, plan
from ._refusals import refuse_faults, refuse_sources
from ._sources import Inputs
from ._spool import KWARGS, Spooled, spool
from ._workers import Workers
from ._write import Lines, write

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of the step, the amount done and the whole amount."""

_NO_HASHES = np.empty(0, np.uint64)


def build(
    settings: MixSettings,
    inputs: Inputs,
    folder: Path,
    pool: Workers,
    progress: Progress,
) -> Manifest:
    """Write the files of a mix, without its manifest.

    Args:
        settings: The settings of the mix.
        inputs: Its files.
        folder: Where it is written; a folder `pieces` in it takes temporary files.
        pool: The workers that read and write.
        progress: Called as the work advances.

    Raises:
        MixError: If rows cannot be used and `on_error` is `fail`, or if no row can.
    """
    pieces = folder / "pieces"
    excluded = read_excluded(inputs.excluded, settings, pool)
    ngrams = None if excluded.ngrams is None else excluded.ngrams.save(pieces)
    wanted = Wanted(
        tokenizer=inputs.tokenizer,
        questions=bool(settings.exclude) and settings.exclude_by == "question",
        bands=settings.near_duplicates is not None,
        ngrams=ngrams,
        overlap=settings.exclude_overlap,
    )
    spooled = _spool_all(settings, inputs, wanted, pieces, pool, progress)
    _refuse_changed(inputs)
    labels = [label for _, label in inputs.pieces]
    refuse_sources(settings, labels, spooled)
    refuse_faults(labels, spooled, settings.on_error)
    rows = _columns(spooled)
    overlaps = None
    if ngrams is not None:
        overlaps = Overlaps.of([(len(piece.ends), piece.overlaps) for piece in spooled])
    bands = [Bands(own.bands_path, own.bands_start, len(own.ends)) for own in spooled]
    lines = Lines(spooled)
    for piece in spooled:
        piece.ends = np.empty(0, np.int64)  # `lines` has them
    near = settings.near_duplicates
    find = None if near is None else partial(find_near_duplicates, bands, lines, near)
    made = plan(rows, settings, excluded.among(rows, overlaps), find)
    matched = excluded.matched(rows, overlaps)
    examples = Examples(
        near_duplicate_examples(lines, made.near),
        overlap_examples(lines, overlaps, excluded.places),
    )
    source, tokens = rows.source, rows.tokens
    del rows  # the fingerprints take most of the memory
    refuse_empty(settings, source, made)
    written = _write_all(settings, spooled, lines, made, folder, pool, progress)
    counts = list(zip(excluded.rows, matched, strict=True))
    return account(
        settings, inputs, spooled, source, tokens, made, written, counts, examples
    )


def _refuse_changed(inputs: Inputs) -> None:
    changed = [
        f"{file.label}: changed while it was read; run it again"
        for file in [*inputs.files, *inputs.excluded]
        if not file.is_unchanged()
    ]
    if changed:
        raise MixError("\n".join(changed))


def _spool_all(
    settings: MixSettings,
    inputs: Inputs,
    wanted: Wanted,
    folder: Path,
    pool: Workers,
    progress: Progress,
) -> list[Spooled]:
    names = [settings.phases[i].name for i in phase_of_sources(settings)]
    sources = list(map(for_workers, settings.sources))
    tasks = [
        (p, sources[p.source], names[p.source], label, str(folder), wanted)
        for p, label in inputs.pieces
    ]
    whole = sum(file.size_bytes for file in inputs.files)
    done, found = 0, []
    for spooled in pool.map(spool, tasks):
        found.append(spooled)
        piece = spooled.piece
        done += piece.end - piece.start if piece.kind == "json" else 0
        progress("reading", done, whole)
    return found


def _columns(spooled: Sequence[Spooled]) -> Rows:
    sources = np.array([piece.piece.source for piece in spooled], np.uint16)
    questions = [piece.questions for piece in spooled if piece.questions is not None]
    counted = [piece.tokens for piece in spooled if piece.tokens is not None]
    return Rows(
        np.repeat(sources, [len(piece.ends) for piece in spooled]),
        *_halves(spooled),
        np.concatenate(counted) if counted else None,
        np.concatenate(questions) if questions else None,
    )


def _halves(spooled: Sequence[Spooled]) -> tuple[Hashes, Hashes]:
    """Both halves of all fingerprints. The pieces give theirs up, to save memory."""
    high, low = (
        np.concatenate([piece.hashes[:, half] for piece in spooled] or [_NO_HASHES])
        for half in (0, 1)
    )
    for piece in spooled:
        piece.hashes = np.empty((0, 2), np.uint64)
    return high, low


def _write_all(
    settings: MixSettings,
    spooled: Sequence[Spooled],
    lines: Lines,
    made: Plan,
    folder: Path,
    pool: Workers,
    progress: Progress,
) -> dict[str, Written]:
    files: dict[str, Any] = {DATA: made.train}
    if settings.held_out:
        files[HELD_OUT] = made.held_out
    whole, done = sum(map(len, files.values())), 0

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        progress("writing", done, whole)

    keys = 0
    for piece in spooled:
        keys |= piece.keys
    # Both files have the same kind, so that a config can use both.
    firsts = [lines.read(indices[:1]) for indices in files.values()]
    as_json = not any(map(reads_as_dates, firsts)) and (
        not keys
        or (keys == KWARGS and all(keep_their_keys(lines, r) for r in files.values()))
    )
    written: dict[str, Written] = {}
    for stem, indices in files.items():
        name = f"{stem}.jsonl" if as_json else f"{stem}.parquet"
        rows_sha256 = None
        if as_json and keys:
            sha256 = write_with_kwargs(folder / name, lines, indices, advance)
        elif as_json:
            sha256 = write(folder / name, lines, indices, pool, advance)
        else:
            path = folder / name
            sha256, rows_sha256 = write_parquet(path, lines, indices, keys, advance)
        size = (folder / name).stat().st_size
        written[name] = Written(len(indices), size, sha256, rows_sha256)
    return written
