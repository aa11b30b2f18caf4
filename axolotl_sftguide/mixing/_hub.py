"""Datasets by name, split or revision, loaded by the `datasets` library."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..config.mix_settings import SourceSettings
from ..errors import MixError
from ._arrow import arrow_rows
from ._faults import first_line
from ._files import FoundFile, similar_name
from ._folders import is_saved_by_datasets
from ._kinds import kind_of

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def is_loaded_by_name(settings: SourceSettings, path: Path) -> bool:
    """Whether the `datasets` library loads a source, and not this package.

    Args:
        settings: The settings of the source.
        path: Its `path` on this machine.
    """
    if path.is_dir() and is_saved_by_datasets(path):
        return False
    if settings.name or settings.revision or settings.split not in (None, "train"):
        return True
    is_a_name = _NAME.fullmatch(settings.path) and kind_of(path) is None
    return bool(is_a_name) and not path.exists()


def files_by_name(settings: SourceSettings, path: Path) -> list[FoundFile]:
    """The Arrow files of a source in the cache of `datasets`, downloaded if missing.

    `split` has the syntax of `datasets`: `train[:10%]+test`.

    Raises:
        MixError: If it cannot be loaded.
    """
    try:
        from datasets import ReadInstruction, load_dataset
    except ImportError:
        raise MixError(
            f"{settings.path}: loading by name, split or revision needs the `datasets` "
            "library. Run pip install datasets, or set path to files."
        ) from None
    split = settings.split or "train"
    arguments = _arguments(settings, path)
    try:
        wanted = ReadInstruction.from_spec(split)
        with _bars_at_a_terminal_only():
            whole = {
                name: load_dataset(**arguments, split=name)
                for name in dict.fromkeys(re.findall(r"(?:^|\+)\s*([\w.]+)", split))
            }
        parts = wanted.to_absolute({name: len(rows) for name, rows in whole.items()})
    except Exception as error:  # `datasets` raises many classes
        reason = f"({type(error).__name__}: {first_line(error)})"
        if path.exists():
            raise MixError(
                f"{settings.path}: split {split!r} cannot be loaded {reason}"
            ) from None
        raise MixError(
            f"{settings.path}: no such file, and no dataset of this name can be loaded "
            f"{reason}{similar_name(path)}"
        ) from None
    return [
        file
        for part in parts
        for file in _files_of(settings, whole[part.splitname], part)
    ]


@contextmanager
def _bars_at_a_terminal_only() -> Iterator[None]:
    """Keeps the progress bars of `datasets` out of files and pipes."""
    from datasets.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if sys.stderr.isatty() or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


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
