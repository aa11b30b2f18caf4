"""What early loss and gradient norm say about both scores: a table from the results.

    python signals.py                    # all grids but the one kept aside
    python signals.py results/lora.json

Spearman's rank correlation of a signal at a share of the run with a score, over all
runs of a grid. The 95% interval is a bootstrap over settings: the seeds of one setting
are drawn together, since they are not independent evidence. `same batch` compares only
runs with the same number of samples per step: its value is the mean over the batches,
each with the weight of its runs.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import StatisticsError, correlation
from typing import Any

SHARES = (0.1, 0.25, 0.5)
WINDOW = 0.1  # of the run, before the share: single points are mostly noise
DRAWS = 2000
LEAST_RUNS = 5
LOSS, NORM = 2, 3

Row = tuple[float, float]  # a signal and a score


def signal(run: dict[str, Any], column: int, share: float) -> float:
    """The mean over the window that ends at a share of the samples.

    A loss or norm that is not finite counts as larger than any other.
    """
    total = run["points"][-1][1]
    start = max(0.0, share - WINDOW)
    inside = [
        p for p in run["points"] if start * total < p[1] <= share * total * 1.0001
    ]
    if not inside:
        inside = [next(p for p in run["points"] if p[1] >= share * total)]
    values = [float("inf") if p[column] is None else p[column] for p in inside]
    return float(sum(values) / len(values))


def settings(runs: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The runs that differ in nothing but the seed, together."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        config = {k: v for k, v in run["config"].items() if k != "seed"}
        found[json.dumps(config, sort_keys=True)].append(run)
    return list(found.values())


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of their ranks."""
    return [
        sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2
        for value in values
    ]


def spearman(rows: Sequence[Row]) -> float | None:
    """The correlation of the ranks; None for few runs or if one side is constant."""
    if len(rows) < LEAST_RUNS:
        return None
    try:
        return correlation(*(ranks(side) for side in zip(*rows, strict=True)))
    except StatisticsError:
        return None


Judged = Callable[[Sequence[dict[str, Any]]], "float | None"]


def over_all(column: int, share: float, score: str) -> Judged:
    """The correlation over all runs."""
    return lambda runs: spearman(
        [(signal(run, column, share), run["scores"][score]) for run in runs]
    )


def same_batch(column: int, share: float, score: str) -> Judged:
    """The mean correlation over runs with the same batch."""
    inner = over_all(column, share, score)

    def judge(runs: Sequence[dict[str, Any]]) -> float | None:
        groups: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for run in runs:
            groups[run["samples_per_step"]].append(run)
        found = [(len(g), v) for g in groups.values() if (v := inner(g)) is not None]
        weight = sum(n for n, _ in found)
        return sum(n * v for n, v in found) / weight if found else None

    return judge


def interval(grouped: list[list[dict[str, Any]]], judge: Judged) -> tuple[float, float]:
    """The 95% interval by drawing settings, each with all its seeds."""
    draw = random.Random(0)
    values = []
    for _ in range(DRAWS):
        runs = [run for group in draw.choices(grouped, k=len(grouped)) for run in group]
        value = judge(runs)
        if value is not None:
            values.append(value)
    values.sort()
    return values[int(0.025 * len(values))], values[int(0.975 * len(values)) - 1]


def shown(grouped: list[list[dict[str, Any]]], judge: Judged) -> str:
    """A correlation with its interval, for the table."""
    value = judge([run for group in grouped for run in group])
    if value is None:
        return "-"
    low, high = interval(grouped, judge)
    return f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def table(grid: dict[str, Any]) -> list[str]:
    """The lines of a grid's table."""
    grouped = settings(grid["runs"])
    scores = list(grid["scores"])
    batches = {run["samples_per_step"] for run in grid["runs"]}
    kinds = [("", over_all)] + (
        [(", same batch", same_batch)] if len(batches) > 1 else []
    )
    lines = [
        f"| signal | read at | {' | '.join(scores)} |",
        "|" + "---|" * (2 + len(scores)),
    ]
    for kind, judged in kinds:
        for name, column in (("loss", LOSS), ("gradient norm", NORM)):
            for share in SHARES:
                cells = [shown(grouped, judged(column, share, s)) for s in scores]
                lines.append(f"| {name}{kind} | {share:.0%} | {' | '.join(cells)} |")
    return lines


def facts(grid: dict[str, Any]) -> list[str]:
    """What the grid is, and the range of its scores."""
    runs = grid["runs"]
    lines = [
        f"## {grid['name']}: {len(runs)} of {grid['planned']} runs, "
        f"{len(settings(runs))} settings; {grid['what differs']}",
        "",
    ]
    for score in grid["scores"]:
        values = sorted(run["scores"][score] for run in runs)
        lines.append(f"- {score}: {values[0]:.3f} to {values[-1]:.3f}")
    both = [[run["scores"][s] for s in grid["scores"]] for run in runs]
    if len(grid["scores"]) == 2:
        value = spearman([(a, b) for a, b in both])
        lines.append(f"- the two scores with each other: {value:+.2f}")
    seconds = sum(run["seconds"] for run in runs)
    return [*lines, f"- {seconds / 60:.0f} minutes of training and scoring", ""]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Early signals and scores of grids.")
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    files = args.files or sorted((Path(__file__).parent / "results").glob("*.json"))
    for path in files:
        grid = json.loads(path.read_text(encoding="utf-8"))
        if grid.get("kept_aside") and not args.files:
            print(f"## {grid['name']}: kept aside, {len(grid['runs'])} runs\n")
            continue
        print("\n".join([*facts(grid), *table(grid)]), end="\n\n")


if __name__ == "__main__":
    main()
