"""Dataset files on this machine: finding them, their kinds and their checksums."""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MixError, did_you_mean
from ._folders import files_in_folder
from ._heads import BLOCK_BYTES

if TYPE_CHECKING:
    from ..config.mix_settings import SourceSettings


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


def files_at(
    settings: SourceSettings, root: Path, notes: list[str], every_split: bool = False
) -> list[FoundFile]:
    """The files of a source on this machine, in a stable order.

    Args:
        settings: The settings of the source.
        root: The folder that relative paths start from.
        notes: Gets a line for each file or folder that is left out.
        every_split: Whether the files of all splits of a folder are meant.

    Raises:
        MixError: If there is no file, or one is outside its folder.
    """
    path = root / Path(settings.path).expanduser()
    if settings.data_files is not None:
        return [FoundFile(p) for p in _data_files(path, settings.data_files)]
    if path.is_file():
        return [FoundFile(path)]
    if path.is_dir():
        return [
            FoundFile(file, kind)
            for file, kind in files_in_folder(settings, path, notes, every_split)
        ]
    matches = sorted(
        map(Path, glob.glob(_pattern(settings.path, root), recursive=True))
    )
    found = [FoundFile(match) for match in matches if match.is_file()]
    if found:
        return found
    if matches:
        raise MixError(
            f"{settings.path}: matches folders only; add /*.jsonl to match their files"
        )
    raise MixError(f"{settings.path}: no such file or folder{similar_name(path)}")


def _pattern(path: str, root: Path) -> str:
    """The pattern of a path. The folder that it starts from is not part of it."""
    own = Path(path).expanduser()
    return str(own) if own.is_absolute() else f"{glob.escape(str(root))}/{own}"


def similar_name(path: Path) -> str:
    """A hint at a file of a similar name in the same folder, or an empty string."""
    near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
    return did_you_mean(path.name, near)


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
        pattern = f"{glob.escape(str(folder))}/{name}"
        matches = sorted(glob.glob(pattern, recursive=True))
        if not matches:
            raise MixError(f"{folder / name}: no such file")
        for match in map(Path, matches):
            if not match.resolve().is_relative_to(root):
                raise MixError(
                    f"data_files: {name} is outside {folder}; set path to that file"
                )
            found.append(match)
    return found
