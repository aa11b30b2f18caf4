"""Patience on evaluations, folded over runs that others evaluated.

    python benchmarks/evaluation_patience.py FOLDER [--rising NAME] [--out FILE]

FOLDER holds one JSON file for each set of runs: `runs`, a list of mappings with
`evals`, a list of [step, value]. `--rising` names a file whose value is better if it is
higher. Runs with fewer than six evaluations are left out. The table has, for a patience
of 3 and for one of a tenth of the run's evaluations (at least 3), how many runs are
stopped before their last evaluation, how many of these were better by more than 1%
later, and the mean share of evaluations that are saved over all runs.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from record import record

from axolotl_sftguide.stopping.rules import Evaluation, EvaluationPatience

FEWEST = 6
"""Evaluations of a run that is counted."""

Run = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Tally:
    """What one patience does to the runs of one file."""

    stopped: int
    better_later: int
    saved: float


@dataclass(frozen=True)
class Row:
    """The runs of one file."""

    name: str
    runs: int
    evaluations: int
    """The median number of evaluations of a run."""
    three: Tally
    tenth: Tally

    @classmethod
    def of(cls, name: str, runs: Sequence[Run], goal: str) -> Row:
        """Fold both patiences over some runs."""
        three = tally(runs, goal, [3] * len(runs))
        tenth = tally(runs, goal, [max(3, math.ceil(len(run) / 10)) for run in runs])
        typical = round(median(len(run) for run in runs))
        return cls(name, len(runs), typical, three, tenth)


def tally(runs: Sequence[Run], goal: str, patiences: Sequence[int]) -> Tally:
    """The stops of each run with its own patience."""
    stopped, better, saved = 0, 0, 0.0
    for run, patience in zip(runs, patiences, strict=True):
        rule = EvaluationPatience("value", patience, goal=goal)
        state = rule.init()
        for index, (step, value) in enumerate(run[:-1], start=1):
            state, verdict = rule.step(state, Evaluation(round(step), value))
            if verdict is None:
                continue
            stopped += 1
            saved += 1 - index / len(run)
            better += _better_later(run, goal, verdict.figures.get("best"))
            break
    return Tally(stopped, better, saved / len(runs))


def _better_later(run: Run, goal: str, kept: float | None) -> bool:
    """Whether the best of the whole run beats what was kept by more than 1%."""
    finite = [value for _, value in run if math.isfinite(value)]
    if not finite:
        return False
    best = min(finite) if goal == "min" else max(finite)
    return kept is None or abs(best - kept) > 0.01 * abs(best)


def table_of(rows: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = [
        "| runs of | runs | evaluations | patience 3: stopped | better later | saved "
        "| a tenth: stopped | better later | saved |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells: list[object] = [row.name, row.runs, row.evaluations]
        for found in (row.three, row.tenth):
            cells += [found.stopped, found.better_later, f"{100 * found.saved:.0f}%"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def read(folder: Path, rising: Sequence[str]) -> Iterator[Row]:
    """One row for each file that has enough runs."""
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())["runs"]
        runs = [[(e[0], float(e[1])) for e in run.get("evals") or []] for run in found]
        runs = [run for run in runs if len(run) >= FEWEST]
        if runs:
            yield Row.of(path.stem, runs, "max" if path.stem in rising else "min")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rising", action="append", default=[], metavar="NAME")
    parser.add_argument("--out", type=Path, metavar="FILE")
    options = parser.parse_args()
    rows = list(read(options.folder, options.rising))
    print(table_of(rows))
    if options.out is not None:
        record(options.out, {"rows": [asdict(row) for row in rows]})


if __name__ == "__main__":
    main()
