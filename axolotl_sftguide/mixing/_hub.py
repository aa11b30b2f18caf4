"""Datasets by name, split or revision, through the library that the hosts use too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..config.mix_settings import SourceSettings
from ..errors import MixError, did_you_mean
from ._read import FoundFile, arrow_rows, kind_of, one_line

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def is_loaded_by_name(settings: SourceSettings, path: Path) -> bool:
    """Whether a source is more than files that lie at a path.

    Args:
        settings: Of the source.
        path: What its `path` is on this machine.
    """
    if settings.name or settings.revision or settings.split not in (None, "train"):
        return True
    is_a_name = _NAME.fullmatch(settings.path) and kind_of(path) is None
    return bool(is_a_name) and not path.exists()


def files_by_name(settings: SourceSettings, path: Path) -> list[FoundFile]:
    """The Arrow files that `datasets` keeps of a source, downloaded where need be.

    A `split` may be cut and added up as there: `train[:10%]+test`.

    Raises:
        MixError: Where it cannot be loaded.
    """
    try:
        from datasets import ReadInstruction, load_dataset
    except ImportError:
        raise MixError(
            f"{settings.path}: only the `datasets` package loads by name, split or "
            "revision; pip install datasets, or give the files"
        ) from None
    split = settings.split or "train"
    arguments = _arguments(settings, path)
    try:
        wanted = ReadInstruction.from_spec(split)
        whole = {
            name: load_dataset(**arguments, split=name)
            for name in dict.fromkeys(re.findall(r"(?:^|\+)\s*([\w.]+)", split))
        }
        parts = wanted.to_absolute({name: len(rows) for name, rows in whole.items()})
    except Exception as error:  # each way of not getting it has its own class
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = "" if path.exists() else did_you_mean(path.name, near)
        what = f"split {split!r}" if path.exists() else "is no file here, and as a name"
        raise MixError(
            f"{settings.path}: {what} cannot be loaded "
            f"({type(error).__name__}: {one_line(error)}){hint}"
        ) from None
    return [
        file
        for part in parts
        for file in _files_of(settings, whole[part.splitname], part)
    ]


def _arguments(settings: SourceSettings, path: Path) -> dict[str, Any]:
    kind = settings.ds_type or kind_of(path) or "json"
    by_kind = {
        "path": {"jsonl": "json"}.get(kind, kind),
        "data_files": str(path),
    }
    by_name = {
        "path": str(path) if path.exists() else settings.path,
        "data_files": settings.data_files,
        "name": settings.name,
        "revision": settings.revision,
    }
    return by_kind if path.is_file() else by_name


def _files_of(settings: SourceSettings, rows: Any, part: Any) -> list[FoundFile]:
    label = (
        "/".join(filter(None, [settings.path, settings.name])) + f":{part.splitname}"
    )
    found, first = [], 0
    for file in rows.cache_files:
        count = arrow_rows(file["filename"])
        start, end = max(part.from_ - first, 0), min(part.to - first, count)
        if start < end:
            path = Path(file["filename"])
            found.append(FoundFile(path, "arrow", label, start, end, first + start + 1))
        first += count
    return found
