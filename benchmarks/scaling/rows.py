"""A mix of many rows, beside Polars on whole lines, where that is installed."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scaling.process import PROJECT, measured

sys.path.insert(0, str(PROJECT / "benchmarks"))


def measure(folder: Path, size: int) -> Iterator[dict[str, Any]]:
    """The figures of a mix of so many rows of about a kilobyte."""
    from mixing import ARMS, make_rows

    make_rows(folder, size, 1000)
    total = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
    yield {"what": "the rows", "mb": round(total / 1e6, 1)}
    arms = ["mix"] + ["polars"] * (find_spec("polars") is not None)
    for arm in arms:
        yield {"what": arm, **measured(["-c", ARMS[arm], str(folder)])}
