"""How cost grows with runs, steps, rows and sweep workers; a table, and JSON.

    python benchmarks/scale.py                      # all, about half an hour
    python benchmarks/scale.py --share 0.01         # a hundredth of the sizes
    python benchmarks/scale.py --only runs steps    # some of the parts
    python benchmarks/scale.py --page               # docs/scale.md from the results

runs      a history of 100, 1,000 and 10,000 runs: each command that reads it, the start
          of a run, and its looks; beside the same number of trials in Optuna's storage
steps     a run of 10,000, 100,000 and 1,000,000 optimizer steps: memory while it
          trains, files, reading it, resuming it; beside TensorBoard's event file
rows      a mix of 10,000, 100,000 and 1,000,000 rows; beside Polars, where installed
workers   1 to 16 workers of one sweep on one PostgreSQL, without trainings; beside
          Optuna's own ask and tell

Each figure is of a process of its own: wall time, CPU time (which other work on the
machine hardly changes) and the most memory that it held.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from record import record
from scaling import rows, runs, steps, workers
from scaling.page import tables

from axolotl_sftguide.evidence.page import page_with_parts

PARTS = {
    "runs": (runs.measure, (100, 1_000, 10_000)),
    "steps": (steps.measure, (10_000, 100_000, 1_000_000)),
    "rows": (rows.measure, (10_000, 100_000, 1_000_000)),
    "workers": (workers.measure, (1, 2, 4, 8, 16)),
}
PAGE = Path(__file__).parent.parent / "docs" / "scale.md"
RESULTS = Path(__file__).parent / "results" / "scale.json"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the sizes")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, help=f"by default {RESULTS} for share 1")
    parser.add_argument("--page", action="store_true", help="only fill in the page")
    asked = parser.parse_args()
    if asked.page:
        found = json.loads((asked.out or RESULTS).read_text())
        PAGE.write_text(page_with_parts(PAGE.read_text(), tables(found)))
        return
    out = asked.out or (RESULTS if asked.share == 1 else None)
    found = json.loads(out.read_text()) if out is not None and out.exists() else {}
    for part in asked.only:
        measure, sizes = PARTS[part]
        smaller = [max(1, round(size * asked.share)) for size in sizes]
        used = list(sizes) if part == "workers" else sorted(set(smaller))
        started = time.monotonic()
        figures = []
        for size in used:
            with tempfile.TemporaryDirectory(dir=os.environ.get("SCALE_DIR")) as name:
                for figure in measure(Path(name), size):
                    figures.append({"size": size, **figure})
                    print(line(part, figures[-1]), flush=True)
        took = round(time.monotonic() - started)
        found[part] = {"machine": machine(), "seconds": took, "figures": figures}
        if out is not None:
            record(out, found)


def line(part: str, figure: dict[str, object]) -> str:
    """One figure as a line of the table."""
    what = f"{part} {figure['size']:>9,}  {figure['what']:<40}"
    rest = (f"{k} {v}" for k, v in figure.items() if k not in ("size", "what"))
    return what + "  ".join(rest)


def machine() -> str:
    """The cores, the memory and the Python of this machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return (
        f"{os.cpu_count()} cores of {platform.machine()}, {pages / 2**30:.0f} GiB, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
