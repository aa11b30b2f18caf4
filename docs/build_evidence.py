"""Makes the parts of docs/evidence.md that hold claims, verdicts and their figures.

    python docs/build_evidence.py                  # from the judgements in the package
    python docs/build_evidence.py --replay FOLDER  # judges the tables in FOLDER first

Without --replay it needs no data but the grids in `benchmarks/grids/results`, which it
judges each time. With it, all tables must be in the folder: the judgements in the
package are always made from all of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import axolotl_sftguide.evidence as package
from axolotl_sftguide.cli.evidence_files import (
    read_tables,
    shipped_coverage,
    shipped_judgements,
    shipped_own,
    shipped_tables,
)
from axolotl_sftguide.evidence.own_grids import judge_grids
from axolotl_sftguide.evidence.page import page_with_parts, parts
from axolotl_sftguide.evidence.replay import replay, rows_used, unjudged

PAGE = Path(__file__).parent / "evidence.md"
GRIDS = PAGE.parent.parent / "benchmarks" / "grids" / "results"
RESULTS = Path(package.__file__).parent / "replayed.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replay", type=Path, metavar="FOLDER")
    folder = parser.parse_args().replay
    results = json.loads(RESULTS.read_text())
    if folder is not None:
        tables = read_tables(folder)
        if missing := unjudged(tables):
            raise SystemExit(f"{folder}: files are missing for {', '.join(missing)}")
        results["tables"] = rows_used(tables)
        results["judgements"] = [j.to_dict() for j in replay(tables)]
    results["own"] = [j.to_dict() for j in judge_grids(own_grids())]
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    made = parts(
        shipped_judgements(), shipped_tables(), shipped_coverage(), shipped_own()
    )
    PAGE.write_text(page_with_parts(PAGE.read_text(), made))


def own_grids() -> dict[str, Any]:
    """The grids of this repository that are open, by their names."""
    grids = [json.loads(path.read_text()) for path in sorted(GRIDS.glob("*.json"))]
    return {grid["name"]: grid for grid in grids if not grid["kept_aside"]}


if __name__ == "__main__":
    main()
