"""How often the intervals of `sftguide evidence --replay` cover the truth.

    python benchmarks/interval_coverage.py [--rounds 1000]

Simulates settings of the sizes that the public tables have. Each value is the sum of a
normal effect of its cluster, one of its data set where both are resampled, and noise of
its own; the truth is 0. Prints a table; with `--write` it goes into the package's
results, from which `docs/build_evidence.py` makes docs/evidence.md.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

import axolotl_sftguide.evidence as package
from axolotl_sftguide.evidence import intervals
from axolotl_sftguide.evidence.intervals import (
    Estimate,
    mean,
    rank_correlation,
    resampled,
)

RESULTS = Path(package.__file__).parent / "replayed.json"


def one_factor(draw: random.Random, clusters: int, runs: int) -> Estimate | None:
    """The mean of runs in clusters that differ as much as runs within them do."""
    cells = []
    for i in range(clusters):
        level = draw.gauss(0, 1)
        cells += [((f"{i}",), level + draw.gauss(0, 1)) for _ in range(runs)]
    return resampled(cells, mean)


def two_factors(
    draw: random.Random, rows: int, columns: int, row_effect: float
) -> Estimate | None:
    """The mean over bases and data sets, both of which have effects."""
    by_row = [draw.gauss(0, row_effect) for _ in range(rows)]
    by_column = [draw.gauss(0, 0.5) for _ in range(columns)]
    return resampled(
        [
            ((f"{i}", f"{j}"), by_row[i] + by_column[j] + draw.gauss(0, 1))
            for i in range(rows)
            for j in range(columns)
        ],
        mean,
    )


def correlation(draw: random.Random, clusters: int, runs: int) -> Estimate | None:
    """A rank correlation of 0 between values whose clusters differ in both."""
    cells = []
    for i in range(clusters):
        one, two = draw.gauss(0, 0.7), draw.gauss(0, 0.7)
        cells += [
            ((f"{i}",), (one + draw.gauss(0, 1), two + draw.gauss(0, 1)))
            for _ in range(runs)
        ]
    return resampled(cells, rank_correlation)


DESIGNS = {
    "mean, 9 data sets of 3 bases": lambda d: one_factor(d, 9, 3),
    "mean, 7 families of bases": lambda d: one_factor(d, 7, 1),
    "mean, 5 submitters": lambda d: one_factor(d, 5, 1),
    "mean, 8 families and 10 data sets": lambda d: two_factors(d, 8, 10, 0.5),
    "the same, families differing most": lambda d: two_factors(d, 8, 10, 2.0),
    "rank correlation, 11 submitters of 5 runs": lambda d: correlation(d, 11, 5),
}


def coverages(rounds: int) -> Iterator[tuple[str, float]]:
    intervals.RESAMPLES = 1000
    for name, design in DESIGNS.items():
        draw = random.Random(1)
        hits = 0
        for _ in range(rounds):
            found = design(draw)
            assert found is not None
            hits += found.low <= 0 <= found.high
        yield name, hits / rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    made = {}
    for name, share in coverages(arguments.rounds):
        made[name] = share
        print(f"{name}: {share:.1%} of {arguments.rounds}", flush=True)
    if arguments.write:
        results = json.loads(RESULTS.read_text())
        results["coverage"] = {"rounds": arguments.rounds, "covered": made}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
