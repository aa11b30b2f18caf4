"""The names of the dataset files in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from ._kinds import KINDS, kind_of

_NO_DATA = frozenset(
    "README.md config.json dataset_info.json dataset_infos.json "
    "dataset_dict.json state.json".split()
)
_OTHER_DATA = frozenset(
    ".7z .avro .feather .orc .pkl .sqlite .tar .tgz .tsv .xls .xlsx .zip".split()
)
_LONGEST_PATH = 1024


def names_in(folder: Path, label: str, notes: list[str]) -> list[str]:
    """The dataset files in a folder and below it, without hidden ones.

    Args:
        folder: The folder.
        label: Its name in the notes.
        notes: Gets a line for each file or folder that is left out.
    """
    found: list[str] = []
    for top, folders, files in os.walk(folder):
        kept = []
        for name in sorted(folders):
            if name.startswith((".", "__")):
                continue
            if os.path.islink(os.path.join(top, name)):
                where = os.path.relpath(os.path.join(top, name), folder)
                notes.append(
                    f"{label}: the linked folder {where} is not read; list it as a "
                    "dataset to read it"
                )
                continue
            kept.append(name)
        folders[:] = kept
        for name in sorted(files):
            path = Path(top, name)
            if name.startswith(".") or name in _NO_DATA:
                continue
            where = path.relative_to(folder).as_posix()
            if not kind_of(path):
                notes += _of_no_kind(path, where, label)
                continue
            if not path.is_file():
                notes.append(f"{label}: {name} is a link to a file that is missing")
                continue
            found.append(where)
    return sorted(found)


def _of_no_kind(path: Path, where: str, label: str) -> list[str]:
    """The notes on a file that no reader reads."""
    if _is_link_as_text(path):
        return [
            f"{label}: {where} is a linked folder or file that Git wrote "
            "as text, and is not read; list its target as a dataset"
        ]
    if _may_be_data(path):
        return [
            f"{label}: {where} is not read, as no reader knows its kind of file; "
            "unpack or convert it"
        ]
    return []


def _is_link_as_text(path: Path) -> bool:
    """Whether a file is a symbolic link as Git writes it where there are none."""
    try:
        if not 0 < path.stat().st_size < _LONGEST_PATH:
            return False
        text = path.read_text(encoding="utf-8")
        return "\n" not in text and (path.parent / text).exists()
    except (OSError, ValueError):
        return False


def _may_be_data(path: Path) -> bool:
    """Whether a file has rows in a kind that is not read, such as `a.jsonl.xz`."""
    suffixes = {suffix.lower() for suffix in path.suffixes}
    last = path.suffix.lower()
    packed = last in (".xz", ".bz2", ".lz4", ".br", ".zip")
    return bool(suffixes & _OTHER_DATA) or (packed and bool(suffixes & KINDS.keys()))
