"""Whether a mix is what its manifest says, and what its sources give."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ..errors import MixError
from ._manifest import MANIFEST, Manifest, read_manifest
from ._mix import build, look
from ._read import checksum
from ._spec import load_mix
from ._workers import Workers


def verify(folder: str | Path, *, base: str | Path | None = None) -> list[str]:
    """What is wrong with a mix: nothing, or a line for each thing.

    The files are held against the manifest, the sources against their checksums, and
    the whole is built once more from them and compared.

    Args:
        folder: That of the mix.
        base: What its relative paths start from.

    Raises:
        MixError: Where it holds no manifest.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise MixError(f"{folder}: holds no {MANIFEST}; not a mix")
    problems = []
    for name, expected in manifest.written.items():
        path = folder / name
        if not path.exists():
            problems.append(f"{path}: is gone")
        elif checksum(path) != expected.sha256:
            problems.append(f"{path}: is not what was written")
    try:
        problems += _rebuilt(folder, manifest, Path(base or ".").resolve())
    except MixError as error:
        problems += str(error).splitlines()
    return problems


def _rebuilt(folder: Path, manifest: Manifest, root: Path) -> list[str]:
    settings = load_mix(manifest.settings)
    with Workers(os.cpu_count() or 1) as pool:
        inputs = look(settings, root, pool)
        now = {(label, file.sha256) for _, label, file in inputs.files}
        now |= {(label, file.sha256) for label, file, _ in inputs.excluded}
        listed = [*(f for part in manifest.parts for f in part.files)]
        known = {(f["file"], f["sha256"]) for f in [*listed, *manifest.excluded_files]}
        changed = sorted({label for label, _ in now ^ known})
        if changed:
            return [f"{label}: has changed since, or is another" for label in changed]
        prefix = f".{folder.name}.verifying-"
        building = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
        (building / "pieces").mkdir()
        try:
            again = build(settings, inputs, building, pool, lambda *_: None)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    if again.written != manifest.written:
        return [f"{folder}: the same sources give other bytes"]
    return []
