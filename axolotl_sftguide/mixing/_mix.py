"""`mix`: from a spec to a folder whose name depends on its content."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.mix_settings import MixSettings
from ..errors import MixError
from ._build import Progress, build
from ._files import checksum
from ._identity import mix_id
from ._manifest import DATA, HELD_OUT, MANIFEST, Manifest, read_manifest
from ._sources import Inputs, open_sources
from ._spec import load_mix, read_mix
from ._workers import Workers


@dataclass(frozen=True)
class Mixed:
    """A mix on the disk."""

    folder: Path
    manifest: Manifest
    built: bool
    """False if the folder existed before."""

    @property
    def data(self) -> Path:
        """The dataset: JSON lines, or Parquet with tools, reasoning, flags and such."""
        return self.folder / str(self.manifest.file(DATA))

    @property
    def held_out(self) -> Path | None:
        """The rows kept for evaluation; None without `held_out`."""
        name = self.manifest.file(HELD_OUT)
        return None if name is None else self.folder / name


def mix(
    spec: MixSettings | Mapping[str, Any] | str | Path,
    output_dir: str | Path,
    *,
    base: str | Path | None = None,
    workers: int | None = None,
    progress: Progress = lambda what, done, whole: None,
) -> Mixed:
    """Build one dataset from several phases, or return the existing one.

    The folder `STRATEGY-ID` in `output_dir` contains `data.jsonl` (`data.parquet` if a
    row has more than roles and texts), `held-out.jsonl` (or `.parquet`) if `held_out`
    is set, and `manifest.json`. The id is a hash of the spec and of the
    content of its files, so changed files give a new folder. Memory grows by about 70
    bytes per row, whatever the length of the rows.

    Args:
        spec: The settings, a mapping of them, or the path of a YAML file.
        output_dir: Where the folder is created.
        base: The folder that relative paths start from; by default the working folder.
        workers: The number of processes; by default one per CPU core.
        progress: Called with the step, the amount done and the whole amount.

    Raises:
        SettingsError: If the spec is wrong.
        MixError: If a file cannot be read or, with `on_error: fail`, a row cannot be
            used, with file, row and reason. No folder is left behind.
    """
    settings = as_settings(spec)
    root = Path(base or ".").resolve()
    with Workers(workers or os.cpu_count() or 1) as pool:
        inputs = open_sources(settings, root, pool)
        name = f"{settings.strategy}-{mix_id(settings, inputs, root)}"
        folder = Path(output_dir) / name
        found = _whole(folder)
        if found is not None:
            return Mixed(folder, found, built=False)
        return _build_locked(settings, inputs, folder, pool, progress)


def as_settings(
    spec: MixSettings | Mapping[str, Any] | str | Path,
) -> MixSettings:
    """The settings of a mix from any form of its spec."""
    if isinstance(spec, MixSettings):
        return spec
    return read_mix(spec) if isinstance(spec, (str, Path)) else load_mix(spec)


def _whole(folder: Path) -> Manifest | None:
    """The manifest of a mix whose files are as they were written, or else None."""
    try:
        found = read_manifest(folder)
    except MixError:
        return None
    if found is None:
        return None
    for name, written in found.written.items():
        path = folder / name
        try:
            if path.stat().st_size != written.size_bytes:
                return None
            if checksum(path) != written.sha256:
                return None
        except OSError:
            return None
    return found


def _build_locked(
    settings: MixSettings,
    inputs: Inputs,
    folder: Path,
    pool: Workers,
    progress: Progress,
) -> Mixed:
    """Build under a lock: one process builds, others that want the same mix wait."""
    with _alone(folder):
        found = _whole(folder)
        if found is not None:
            return Mixed(folder, found, built=False)
        # Whoever holds the lock may delete what a killed build left. The workers of
        # that build may still finish a task, so this build uses another name.
        prefix = f".{folder.name}.building-"
        for left in folder.parent.glob(f"{prefix}*"):
            shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        building = folder.parent / f"{prefix}{secrets.token_hex(4)}"
        building.mkdir()
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


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes that want the same mix out meanwhile."""
    from filelock import FileLock

    lock = FileLock(folder.parent / f".{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise MixError(
            f"{folder.parent}: cannot be written ({error.strerror or error})"
        ) from None
    try:
        yield
    finally:
        lock.release()
