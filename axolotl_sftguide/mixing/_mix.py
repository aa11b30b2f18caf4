"""From a spec to a folder that is named by what is in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..config.mix_settings import MixSettings, SourceSettings
from ..errors import MixError
from ._hub import files_by_name, is_loaded_by_name
from ._manifest import MANIFEST, Manifest, PhasePart, Written, read_manifest
from ._plan import Hashes, Plan, Rows, largest_deviation, phase_of_sources, plan
from ._read import FoundFile, Piece, SourceFile, files_at, look_at
from ._rows import FAULTS, FaultCode
from ._spec import load_mix, read_mix
from ._spool import Spooled, complete, fingerprints, spool
from ._tokens import tokenizer_checksums
from ._workers import Workers
from ._write import Lines, write

DATA = "data.jsonl"
HELD_OUT = "held-out.jsonl"

_FORM = 1
"""Of what is written: another one is another content."""

_NO_HASHES = np.empty(0, np.uint64)

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is done, how much of it, and of how much."""


@dataclass(frozen=True)
class Mixed:
    """A mix on the disk."""

    folder: Path
    manifest: Manifest
    built: bool
    """False where it was there already."""

    @property
    def data(self) -> Path:
        """The dataset: one conversation a line."""
        return self.folder / DATA

    @property
    def held_out(self) -> Path | None:
        """The rows kept for evaluation, where some were asked for."""
        path = self.folder / HELD_OUT
        return path if path.exists() else None


@dataclass(frozen=True)
class Inputs:
    """The files of a mix, looked at."""

    files: list[tuple[int, str, SourceFile]]
    """Source, label, file."""
    pieces: list[tuple[Piece, str]]
    """Each with its file's label."""
    excluded: list[tuple[str, SourceFile, list[Piece]]]


def mix(
    spec: MixSettings | Mapping[str, Any] | str | Path,
    output_dir: str | Path,
    *,
    base: str | Path | None = None,
    workers: int | None = None,
    progress: Progress = lambda what, done, whole: None,
) -> Mixed:
    """Make one dataset of several phases, or find the one that is there.

    The folder `STRATEGY-ID` below `output_dir` holds `data.jsonl`, `held-out.jsonl`
    where some is asked for, and `manifest.json`. The id is that of the spec and of the
    content of its files: other content is another folder. Memory does not grow with
    the length of the rows; about 70 bytes of it go with each.

    Args:
        spec: The settings, a mapping of them, or the path of a YAML file.
        output_dir: Where the folder is made.
        base: What relative paths start from; by default the working folder.
        workers: Processes; by default one for each of the machine's cores.
        progress: Told how far it is.

    Raises:
        SettingsError: Where the spec is wrong.
        MixError: Where a file or, with `on_error: fail`, a row is; with each file,
            line and reason. Nothing is left behind.
    """
    settings = _settings(spec)
    root = Path(base or ".").resolve()
    count = workers or os.cpu_count() or 1
    with Workers(count) as pool:
        inputs = look(settings, root, pool)
        identity = _identity(settings, inputs, root)
        folder = Path(output_dir) / f"{settings.strategy}-{identity}"
        found = read_manifest(folder)
        if found is not None:
            return Mixed(folder, found, built=False)
        return _build_alone(settings, inputs, folder, pool, progress)


def _settings(spec: MixSettings | Mapping[str, Any] | str | Path) -> MixSettings:
    if isinstance(spec, MixSettings):
        return spec
    return read_mix(spec) if isinstance(spec, (str, Path)) else load_mix(spec)


def look(settings: MixSettings, root: Path, pool: Workers) -> Inputs:
    """Find and read all files once; all that is missing is told at once."""
    problems: list[str] = []
    wanted: list[tuple[int, SourceSettings, FoundFile]] = []
    excluded = [SourceSettings(path=path) for path in settings.exclude]
    for index, source in enumerate([*settings.sources, *excluded]):
        try:
            wanted += [(index, source, file) for file in _files_of(source, root)]
        except MixError as error:
            problems.append(str(error))
    if problems:
        raise MixError("\n".join(problems))
    looked = pool.map(look_at, [(file, i, s.ds_type) for i, s, file in wanted])
    inputs = Inputs([], [], [])
    for (index, _, found), (file, pieces) in zip(wanted, looked, strict=True):
        label = found.label or _label(found.path, root)
        if index < len(settings.sources):
            inputs.files.append((index, label, file))
            inputs.pieces.extend((piece, label) for piece in pieces)
        else:
            inputs.excluded.append((label, file, pieces))
    return inputs


def _files_of(source: SourceSettings, root: Path) -> list[FoundFile]:
    path = root / Path(source.path).expanduser()
    if is_loaded_by_name(source, path):
        return files_by_name(source, path)
    return [FoundFile(file) for file in files_at(source, path)]


def _label(path: Path, root: Path) -> str:
    """A file's name that is the same on any machine, if it lies below the root."""
    whole = path.resolve()
    return (
        whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(path)
    )


def _identity(settings: MixSettings, inputs: Inputs, root: Path) -> str:
    said = {
        "form": _FORM,
        "settings": settings.model_dump(mode="json"),
        "files": [(i, label, file.sha256) for i, label, file in inputs.files],
        "excluded": [(label, file.sha256) for label, file, _ in inputs.excluded],
    }
    if settings.tokenizer is not None:
        said["tokenizer"] = tokenizer_checksums(settings.tokenizer, root)
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _build_alone(
    settings: MixSettings,
    inputs: Inputs,
    folder: Path,
    pool: Workers,
    progress: Progress,
) -> Mixed:
    """Build under a lock: of several that begin together one builds, the rest wait."""
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        found = read_manifest(folder)
        if found is not None:
            return Mixed(folder, found, built=False)
        # What a build that was killed has left is nobody's: the lock was its own. Its
        # workers may still end their last task, so this one has another name.
        beginning = f".{folder.name}.building-"
        for left in folder.parent.glob(f"{beginning}*"):
            shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        building = Path(tempfile.mkdtemp(prefix=beginning, dir=folder.parent))
        building.chmod(0o755)
        pieces = building / "pieces"
        pieces.mkdir()
        try:
            manifest = build(settings, inputs, building, pool, progress)
            shutil.rmtree(pieces)
            (building / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            building.rename(folder)
        except OSError as error:
            raise MixError(
                f"{building}: cannot be written ({error.strerror or error})"
            ) from None
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return Mixed(folder, manifest, built=True)


def build(
    settings: MixSettings,
    inputs: Inputs,
    building: Path,
    pool: Workers,
    progress: Progress,
) -> Manifest:
    """Read, plan and write into a folder that has one for the pieces."""
    spooled = _spool_all(settings, inputs, building / "pieces", pool, progress)
    _refuse_faults(settings, inputs, spooled)
    keys = 0
    for piece in spooled:
        keys |= piece.keys
    if keys:
        spooled = list(pool.map(complete, [(piece, keys) for piece in spooled]))
    rows = Rows(
        np.repeat(
            np.array([p.piece.source for p in spooled], np.uint16),
            [len(p.ends) for p in spooled],
        ),
        *_halves(spooled),
        _tokens(spooled),
    )
    made = plan(rows, settings, _excluded(inputs, pool))
    source, tokens = rows.source, rows.tokens
    del rows  # the fingerprints are most of what is held
    lines = Lines(spooled)
    for piece in spooled:
        piece.ends = np.empty(0, np.int64)  # `lines` holds them now
    written: dict[str, Written] = {}
    todo = {DATA: made.train}
    if settings.held_out:
        todo[HELD_OUT] = made.held_out
    whole, done = sum(map(len, todo.values())), 0

    def wrote(count: int) -> None:
        nonlocal done
        done += count
        progress("writing", done, whole)

    for name, indices in todo.items():
        sha256 = write(building / name, lines, indices, pool, wrote)
        size = int(lines.lengths(indices).sum(dtype=np.int64))
        written[name] = Written(len(indices), size, sha256)
    return _manifest(settings, inputs, spooled, source, tokens, made, written)


def _spool_all(
    settings: MixSettings,
    inputs: Inputs,
    folder: Path,
    pool: Workers,
    progress: Progress,
) -> list[Spooled]:
    names = [settings.phases[i].name for i in phase_of_sources(settings)]
    tasks = [
        (
            piece,
            settings.sources[piece.source],
            names[piece.source],
            label,
            str(folder),
            settings.tokenizer,
        )
        for piece, label in inputs.pieces
    ]
    whole = sum(file.size_bytes for _, _, file in inputs.files)
    done, found = 0, []
    for spooled in pool.map(spool, tasks):
        found.append(spooled)
        piece = spooled.piece
        done += piece.end - piece.start if piece.kind == "json" else 0
        progress("reading", done, whole)
    return found


def _halves(spooled: Sequence[Spooled]) -> tuple[Hashes, Hashes]:
    """Both halves of all fingerprints, which the pieces need no longer."""
    high, low = (
        np.concatenate([piece.hashes[:, half] for piece in spooled] or [_NO_HASHES])
        for half in (0, 1)
    )
    for piece in spooled:
        piece.hashes = np.empty((0, 2), np.uint64)
    return high, low


def _tokens(spooled: Sequence[Spooled]) -> Any:
    counted = [piece.tokens for piece in spooled if piece.tokens is not None]
    return np.concatenate(counted) if counted else None


def _excluded(inputs: Inputs, pool: Workers) -> Hashes | None:
    tasks = [
        (piece, SourceSettings(path=label))
        for label, _, pieces in inputs.excluded
        for piece in pieces
    ]
    found = list(pool.map(fingerprints, tasks))
    return np.concatenate(found) if found else None


def _refuse_faults(
    settings: MixSettings, inputs: Inputs, spooled: Sequence[Spooled]
) -> None:
    count = sum(sum(piece.faults.values()) for piece in spooled)
    rows = sum(len(piece.ends) for piece in spooled)
    if count and settings.on_error == "fail":
        told = _told(inputs, spooled)
        more = [f"... and {count - len(told)} more"] if count > len(told) else []
        way_out = "mend them, or leave them out with on_error: skip"
        raise MixError(
            "\n".join([*told, *more, f"{count} rows cannot be used: {way_out}"])
        )
    if not rows:
        read = sum(piece.rows_read for piece in spooled)
        raise MixError(f"nothing to mix: of {read} rows none can be used")


def _told(inputs: Inputs, spooled: Sequence[Spooled], most: int = 20) -> list[str]:
    labels = [label for _, label in inputs.pieces]
    lines = [
        f"{label}: row {number}: {text}" if number else f"{label}: {text}"
        for label, piece in zip(labels, spooled, strict=True)
        for number, text in piece.told
    ]
    return lines[:most]


def _manifest(
    settings: MixSettings,
    inputs: Inputs,
    spooled: Sequence[Spooled],
    source_of: NDArray[np.uint16],
    tokens: NDArray[np.uint32] | None,
    made: Plan,
    written: dict[str, Written],
) -> Manifest:
    phases = phase_of_sources(settings)
    count = len(settings.sources)
    order = source_of[made.train]
    out = np.bincount(order, minlength=count)
    aside = np.bincount(source_of[made.held_out], minlength=count)
    of_tokens = None
    if tokens is not None:
        of_tokens = np.bincount(order, tokens[made.train].astype(np.float64), count)
    parts = []
    for source, own in enumerate(settings.sources):
        pieces = [p for p in spooled if p.piece.source == source]
        forms: Counter[str] = Counter()
        faults: Counter[FaultCode] = Counter()
        for piece in pieces:
            forms.update(piece.forms)
            faults.update(piece.faults)
        parts.append(
            PhasePart(
                phase=settings.phases[phases[source]].name,
                path=own.path,
                files=[
                    {"file": label, **_public(file)}
                    for i, label, file in inputs.files
                    if i == source
                ],
                forms=dict(sorted(forms.items())),
                rows_read=sum(piece.rows_read for piece in pieces),
                filtered=sum(piece.filtered for piece in pieces),
                faults=dict(sorted((FAULTS[code], n) for code, n in faults.items())),
                duplicates={
                    settings.sources[before].path: number
                    for (again, before), number in sorted(made.duplicates.items())
                    if again == source
                },
                excluded=made.excluded.get(source, 0),
                not_drawn=made.not_drawn.get(source, 0),
                held_out=int(aside[source]),
                repeated=made.repeated.get(source, 0),
                rows=int(out[source]),
                tokens=None if of_tokens is None else int(of_tokens[source]),
            )
        )
    deviation = None
    if settings.strategy == "stacked" and len(made.train):
        deviation = round(largest_deviation(order), 3)
    return Manifest(
        form=_FORM,
        settings=settings.model_dump(mode="json"),
        parts=parts,
        excluded_files=[{"file": n, **_public(f)} for n, f, _ in inputs.excluded],
        trains_by_turn=any(piece.says("train") for piece in spooled),
        largest_prefix_deviation_rows=deviation,
        written=written,
    )


def _public(file: SourceFile) -> dict[str, Any]:
    return {"size_bytes": file.size_bytes, "sha256": file.sha256}
