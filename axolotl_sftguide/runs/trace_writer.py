"""Appends to the trace of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..signals import Observation
from .private_files import opener
from .redaction import recordable

FORM = 1
"""The version of the format that this package writes."""


class TraceWriter:
    """Appends to one trace; after every call the file consists of whole lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = _is_torn(path)
        # Not `path.open`, which has no opener.
        self._file = open(path, "a", encoding="utf-8", opener=opener)  # noqa: SIM115
        if torn:
            self._file.write("\n")

    def begin(self, run: Mapping[str, Any]) -> None:
        """Write the first line."""
        self.event("run", form=FORM, run=dict(run))

    def event(self, name: str, **values: Any) -> None:
        """Write one event, without secrets."""
        self._write([{"event": name, **recordable(values)}])

    def steps(self, observations: Iterable[Observation]) -> None:
        """Write one record per optimizer step."""
        self._write(asdict(observation) for observation in observations)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._file.writelines(to_line(record) for record in records)
        self._file.flush()


def _is_torn(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) != b"\n"


def to_line(record: Mapping[str, Any]) -> str:
    """One record as a line of strict JSON."""
    return json.dumps(_portable(record), allow_nan=False, default=str) + "\n"


def _portable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(k): _portable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_portable(v) for v in value]
    return value
