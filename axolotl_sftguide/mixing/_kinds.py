"""The kind of a dataset file, by its name."""

from __future__ import annotations

from pathlib import Path

_PACKED = (".gz", ".zst")
KINDS = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".csv": "csv",
}
"""The kind of a file, by the end of its name. `json` is JSON lines or an array."""


def suffix_of(path: Path) -> str:
    """The end of a file's name in lower case, without that of its compression.

    It may be empty.
    """
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in _PACKED]
    return suffixes[-1] if suffixes else ""


def kind_of(path: Path) -> str | None:
    """The kind of a file by its name, compressed or not."""
    return KINDS.get(suffix_of(path))
