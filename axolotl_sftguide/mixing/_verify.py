"""`verify`: whether a mix still matches its manifest and its sources."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ..errors import MixError
from ._build import build
from ._files import checksum
from ._manifest import MANIFEST, Manifest, read_manifest
from ._sources import open_sources
from ._spec import load_mix
from ._workers import Workers


def verify(folder: str | Path, *, base: str | Path | None = None) -> list[str]:
    """The differences between a mix, its manifest and its sources; empty without any.

    Compares the files with the manifest and the sources with their checksums, then
    builds the mix again and compares the bytes.

    Args:
        folder: The folder of the mix.
        base: The folder that its relative paths start from; by default the working
            folder.

    Raises:
        MixError: If the folder has no manifest.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise MixError(f"{folder}: not a mix, as it has no {MANIFEST}")
    problems = []
    for name, expected in manifest.written.items():
        path = folder / name
        if not path.exists():
            problems.append(f"{path}: missing")
        elif checksum(path) != expected.sha256:
            problems.append(f"{path}: changed since it was written")
    try:
        problems += _rebuild(folder, manifest, Path(base or ".").resolve())
    except MixError as error:
        problems += str(error).splitlines()
    return problems


def _rebuild(folder: Path, manifest: Manifest, root: Path) -> list[str]:
    settings = load_mix(manifest.settings)
    with Workers(os.cpu_count() or 1) as pool:
        inputs = open_sources(settings, root, pool)
        now = {(f.label, f.sha256) for f in [*inputs.files, *inputs.excluded]}
        listed = [file for part in manifest.parts for file in part.files]
        known = {(f["file"], f["sha256"]) for f in [*listed, *manifest.excluded_files]}
        changed = sorted({label for label, _ in now ^ known})
        if changed:
            return [f"{label}: changed since the mix was built" for label in changed]
        prefix = f".{folder.name}.verifying-"
        building = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
        (building / "pieces").mkdir()
        try:
            again = build(settings, inputs, building, pool, lambda *_: None)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    if again.written != manifest.written:
        return [f"{folder}: building again from the same sources gives different bytes"]
    return []
