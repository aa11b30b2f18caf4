"""`verify`: whether a mix still matches its manifest and its sources."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import MixError, SettingsError
from ._build import build
from ._files import checksum
from ._identity import mix_id
from ._manifest import MANIFEST, Manifest, read_manifest
from ._sources import open_sources
from ._spec import load_mix
from ._versions import other_versions
from ._workers import Workers


def verify(folder: str | Path, *, base: str | Path | None = None) -> list[str]:
    """The differences between a mix, its manifest and its sources; empty without any.

    Compares the files with the manifest and the sources with their checksums, then
    builds the mix again and compares the bytes and the whole manifest.

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
        if not folder.is_dir():
            raise MixError(f"{folder}: no such folder")
        mixes = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
        within = f"; name a mix in it, such as {mixes[0]}" if mixes else ""
        raise MixError(f"{folder}: not a mix, as it has no {MANIFEST}{within}")
    problems = [
        f"{folder / name}: not part of the mix"
        for name in sorted(path.name for path in folder.iterdir())
        if name not in {MANIFEST, *manifest.written}
    ]
    for name, expected in manifest.written.items():
        path = folder / name
        if not path.exists():
            problems.append(f"{path}: missing")
        elif checksum(path) != expected.sha256:
            problems.append(f"{path}: changed since it was written")
        elif path.stat().st_size != expected.size_bytes:
            problems.append(
                f"{folder / MANIFEST}: changed since it was written (size of {name})"
            )
    try:
        problems += _rebuild(folder, manifest, Path(base or ".").resolve())
    except MixError as error:
        problems += str(error).splitlines()
    if problems:
        problems += [f"{folder}: {line}" for line in other_versions(manifest.versions)]
    return problems


def version_notes(folder: str | Path) -> list[str]:
    """The libraries whose version differs from that of the mix, one line each."""
    manifest = read_manifest(Path(folder))
    return [] if manifest is None else list(other_versions(manifest.versions))


def _rebuild(folder: Path, manifest: Manifest, root: Path) -> list[str]:
    try:
        settings = load_mix(manifest.settings, path=str(folder / MANIFEST))
    except SettingsError as error:
        return str(error).splitlines()
    with Workers(os.cpu_count() or 1) as pool:
        inputs = open_sources(settings, root, pool)
        now = {(f.label, f.sha256) for f in [*inputs.files, *inputs.excluded]}
        listed = [file for part in manifest.parts for file in part.files]
        known = {(f["file"], f["sha256"]) for f in [*listed, *manifest.excluded_files]}
        changed = sorted({label for label, _ in now ^ known})
        if changed:
            return [f"{label}: changed since the mix was built" for label in changed]
        own_id = mix_id(settings, inputs, root, manifest.form, manifest.settings)
        if not folder.resolve().name.endswith(own_id):
            return [
                f"{folder}: the id of its settings and sources is {own_id}, so that "
                f"{MANIFEST} or the name of the folder was changed"
            ]
        prefix = f".{folder.name}.verifying-"
        building = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
        (building / "pieces").mkdir()
        try:
            again = build(settings, inputs, building, pool, lambda *_: None)
            return _differences(folder, manifest, building, again)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _differences(
    folder: Path, manifest: Manifest, building: Path, again: Manifest
) -> list[str]:
    """The differences between two manifests, and between the rows of their files."""
    then, now = asdict(manifest), asdict(again)
    del then["versions"], now["versions"]  # a difference in the rows names them
    # Settings that were added since have their defaults.
    then["settings"] = load_mix(then["settings"]).model_dump(mode="json")
    if manifest.form == 1:  # of version 0.1.0, which had fewer counts
        then, now = _as_version_0_1_0(then), _as_version_0_1_0(now)
    problems = []
    written = {name: _content(own) for name, own in then.pop("written").items()}
    if written != {name: _content(own) for name, own in now.pop("written").items()}:
        problems.append(
            f"{folder}: building again from the same sources gives different bytes"
        )
    elif any(
        (folder / name).suffix == ".parquet" and not _same(folder, building, name)
        for name in written
    ):
        problems.append(
            f"{folder}: building again from the same sources gives different rows"
        )
    wrong = [key for key in then if then[key] != now.get(key)]
    if wrong:
        problems.append(
            f"{folder / MANIFEST}: changed since it was written ({', '.join(wrong)})"
        )
    return problems


def _content(written: dict[str, Any]) -> Any:
    """What does not depend on the version of pyarrow."""
    rows = written.get("rows_sha256")
    return (written["rows"], rows) if rows else written


def _same(folder: Path, building: Path, name: str) -> bool:
    """Whether two Parquet files have the same rows, of whatever version."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if checksum(folder / name) == checksum(building / name):
        return True
    try:
        one, two = (pq.ParquetFile(place / name) for place in (folder, building))
        if one.num_row_groups != two.num_row_groups:
            return False
        return all(
            one.read_row_group(group).equals(two.read_row_group(group))
            for group in range(one.num_row_groups)
        )
    except (pa.ArrowException, ValueError, OSError):
        return False


def _as_version_0_1_0(manifest: dict[str, Any]) -> dict[str, Any]:
    settings = load_mix(manifest["settings"]).model_dump(mode="json")
    excluded = [
        {key: file[key] for key in ("file", "size_bytes", "sha256")}
        for file in manifest["excluded_files"]
    ]
    parts = [
        {**part, "faults": sorted(part["faults"].values()), "not_read": {}}
        for part in manifest["parts"]
    ]
    own = {"settings": settings, "excluded_files": excluded, "parts": parts}
    return {**manifest, **own, "form": 1, "notes": []}
