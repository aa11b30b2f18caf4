"""Dataset files on this machine: finding them, their kinds and their checksums."""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..config.mix_settings import SourceSettings
from ..errors import MixError, did_you_mean

BLOCK_BYTES = 2**19
"""Bytes per read or write. Blocks that fit into the CPU cache halve the time."""

PACKED = (".gz", ".zst")
KINDS = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".csv": "csv",
}
"""The kind of a file, by the end of its name. `json` is JSON lines or an array."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to read, in whole or in part."""

    path: Path
    kind: str | None = None
    """The kind, if the name does not decide it."""
    label: str | None = None
    """The `source` of its rows; by default the file's name."""
    start: int = 0
    end: int = 0
    """The range of rows in an Arrow file; an end of 0 means all rows."""
    first_row: int = 1
    """The number of its first row."""


def files_at(settings: SourceSettings, path: Path) -> list[Path]:
    """The files of a source on this machine, in a stable order.

    Raises:
        MixError: If there is no file, or one is outside its folder.
    """
    if settings.data_files is not None:
        return _data_files(path, settings.data_files)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and kind_of(p))
        if found:
            return found
        raise MixError(f"{path}: no dataset file in this folder ({', '.join(KINDS)})")
    found = sorted(Path(p) for p in glob.glob(str(path), recursive=True))
    if found:
        return [p for p in found if p.is_file()]
    raise MixError(f"{settings.path}: no such file or folder{similar_name(path)}")


def similar_name(path: Path) -> str:
    """A hint at a file of a similar name in the same folder, or an empty string."""
    near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
    return did_you_mean(path.name, near)


def kind_of(path: Path) -> str | None:
    """The kind of a file by its name, compressed or not."""
    suffixes = [s for s in path.suffixes if s not in PACKED]
    return KINDS.get(suffixes[-1]) if suffixes else None


def starts_array(file: IO[bytes]) -> bool:
    """Whether a buffered file starts with a JSON array. Reads nothing from it."""
    head: bytes = file.peek(4096)  # type: ignore[attr-defined]
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _data_files(folder: Path, names: str | list[str]) -> list[Path]:
    found: list[Path] = []
    root = folder.resolve()
    for name in [names] if isinstance(names, str) else names:
        matches = sorted(glob.glob(str(folder / name), recursive=True))
        if not matches:
            raise MixError(f"{folder / name}: no such file")
        for match in map(Path, matches):
            if not match.resolve().is_relative_to(root):
                raise MixError(
                    f"data_files: {name} is outside {folder}; set path to that file"
                )
            found.append(match)
    return found
