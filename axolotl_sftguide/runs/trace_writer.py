"""Appends to traces: one JSON line for each record."""

from __future__ import annotations

import json
import math
import threading
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
    """Appends to one trace; after every call the file consists of whole lines.

    What cannot be written, as on a full disk, is kept and written with the next call.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._unwritten = b"\n" if _is_torn(path) else b""
        self._lock = threading.Lock()
        # Not `path.open`, which has no opener.
        self._file = open(path, "ab", buffering=0, opener=opener)  # noqa: SIM115

    @property
    def kept_bytes(self) -> int:
        """The size of what could not be written so far."""
        return len(self._unwritten)

    def content(self) -> bytes:
        """All lines of the trace, also those that could not be written so far."""
        if not self._unwritten:
            return self.path.read_bytes()
        with self._lock:
            return self.path.read_bytes() + self._unwritten

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
        try:
            self._write(())
        finally:
            self._file.close()

    def _write(self, records: Iterable[Mapping[str, Any]]) -> None:
        lines = "".join(to_line(record) for record in records).encode()
        with self._lock:
            self._unwritten += lines
            while self._unwritten:
                written = self._file.write(self._unwritten)
                self._unwritten = self._unwritten[written:]


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
