"""What early loss and gradient norm say about both scores: tables from the results.

    python signals.py                    # all grids but the one kept aside
    python signals.py results/lora.json
    python signals.py --write ../../docs/evidence.md

Spearman's rank correlation of a signal at a share of the run with a score, over all
runs of a grid. The 95% interval is a bootstrap over settings, widened for few of them:
the seeds of one setting are drawn together, since they are not independent evidence.
`same batch` compares only runs with the same number of samples per step: its value is
the mean over the batches, each with the weight of its runs. `runs that learned` score
better than the most common answers. `learning rate, at equal final loss` is the partial
correlation of the ranks. A grid of fewer than eight settings is shown by its means: too
few for an interval.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import StatisticsError, correlation
from typing import Any

from axolotl_sftguide.evidence.intervals import resampled

SHARES = (0.1, 0.25, 0.5)
WINDOW = 0.1  # of the run, before the share: single points are mostly noise
LEAST_RUNS = 5
LEAST_SETTINGS = 8  # fewer have no interval worth its name
LOSS, NORM = 2, 3
BEGIN, END = "<!-- grids -->", "<!-- end of grids -->"
TAUGHT, GUESS = "taught_exact_match", 0.215
RESULTS = sorted((Path(__file__).parent / "results").glob("*.json"))

Run = dict[str, Any]
Row = tuple[float, float, float]  # a signal, a score, and what is held equal
Statistic = Callable[[Sequence[Row]], "float | None"]


def signal(run: Run, column: int, share: float) -> float:
    """The mean over the window that ends at a share of the samples.

    A loss or norm that is not finite counts as larger than any other.
    """
    total = run["points"][-1][1]
    start, end = (share - WINDOW) * total, share * total * 1.0001
    inside = [p for p in run["points"] if start < p[1] <= end]
    if not inside:
        inside = [next(p for p in run["points"] if p[1] >= share * total)]
    values = [float("inf") if p[column] is None else p[column] for p in inside]
    return float(sum(values) / len(values))


def settings(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs that differ in nothing but seeds, together."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        config = {k: v for k, v in run["config"].items() if not k.endswith("seed")}
        found[json.dumps(config, sort_keys=True)].append(run)
    return list(found.values())


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of their ranks."""
    places: dict[float, list[int]] = defaultdict(list)
    for place, value in enumerate(sorted(values), start=1):
        places[value].append(place)
    return [sum(places[value]) / len(places[value]) for value in values]


def spearman(one: Sequence[float], two: Sequence[float]) -> float | None:
    """The correlation of the ranks; None for few runs or if one side is constant."""
    if len(one) < LEAST_RUNS:
        return None
    try:
        return correlation(ranks(one), ranks(two))
    except StatisticsError:
        return None


def over_all(rows: Sequence[Row]) -> float | None:
    """The correlation over all runs."""
    one, two, _ = zip(*rows, strict=True)
    return spearman(one, two)


def same_batch(rows: Sequence[Row]) -> float | None:
    """The mean correlation over runs of equal batch."""
    groups: dict[float, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[2]].append(row)
    found = [(len(g), v) for g in groups.values() if (v := over_all(g)) is not None]
    weight = sum(n for n, _ in found)
    return sum(n * v for n, v in found) / weight if found else None


def at_equal(rows: Sequence[Row]) -> float | None:
    """The rank correlation of the first two, with the third held equal."""
    one, two, given = zip(*rows, strict=True)
    ab, ac, bc = spearman(one, two), spearman(one, given), spearman(two, given)
    if ab is None or ac is None or bc is None or max(abs(ac), abs(bc)) > 1 - 1e-9:
        return None
    return float((ab - ac * bc) / ((1 - ac**2) * (1 - bc**2)) ** 0.5)


def interval(
    grouped: Sequence[Sequence[Row]], judge: Statistic
) -> tuple[float, float] | None:
    """The 95% interval by drawing settings, each with all its seeds."""

    def known(rows: Sequence[Row]) -> float:
        value = judge(rows)
        if value is None:
            raise ValueError("these rows have no correlation")
        return value

    cells = [((str(i),), row) for i, group in enumerate(grouped) for row in group]
    found = resampled(cells, known)
    return None if found is None else (found.low, found.high)


def shown(
    grouped: Sequence[Sequence[Run]], judge: Statistic, row: Callable[[Run], Row]
) -> str:
    """A correlation with its interval, for the table."""
    if len(grouped) < LEAST_SETTINGS:
        return "-"
    rows = [[row(run) for run in group] for group in grouped]
    value = judge([one for group in rows for one in group])
    bounds = interval(rows, judge)
    if value is None or bounds is None:
        return "-"
    return f"{value:+.2f} ({bounds[0]:+.2f} to {bounds[1]:+.2f})"


def of_signal(score: str, column: int, share: float) -> Callable[[Run], Row]:
    """A signal, a score and the batch of a run."""
    return lambda run: (
        signal(run, column, share),
        run["scores"][score],
        run["samples_per_step"],
    )


def of_rate(score: str) -> Callable[[Run], Row]:
    """The learning rate, a score and the final loss of a run."""
    return lambda run: (
        run["config"]["learning_rate"],
        run["scores"][score],
        signal(run, LOSS, 1),
    )


def cells(
    grid: dict[str, Any], judge: Statistic, row: Callable[[str], Callable[[Run], Row]]
) -> str:
    """The cells of a line of the table, one for each score."""
    grouped = settings(grid["runs"])
    return " | ".join(shown(grouped, judge, row(score)) for score in grid["scores"])


def table(grid: dict[str, Any]) -> list[str]:
    """The lines of a grid's table."""
    lines = [
        f"| signal | read at | {' | '.join(grid['scores'])} |",
        "|" + "---|" * (2 + len(grid["scores"])),
    ]
    kinds: list[tuple[str, dict[str, Any], Statistic]] = [("", grid, over_all)]
    if len({run["samples_per_step"] for run in grid["runs"]}) > 1:
        kinds.append((", same batch", grid, same_batch))
    kinds.append((", runs that learned", only_learned(grid), over_all))
    for kind, part, judge in kinds:
        for name, column in (("loss", LOSS), ("gradient norm", NORM)):
            for share in SHARES:
                row = partial(of_signal, column=column, share=share)
                found = cells(part, judge, row)
                lines.append(f"| {name}{kind} | {share:.0%} | {found} |")
    found = cells(grid, at_equal, of_rate)
    return [*lines, f"| learning rate, at equal final loss | 100% | {found} |"]


def means(grid: dict[str, Any]) -> list[str]:
    """The scores of each setting, for a grid that has few."""
    lines = [
        f"| setting | runs | {' | '.join(grid['scores'])} |",
        "|" + "---|" * (2 + len(grid["scores"])),
    ]
    for group in settings(grid["runs"]):
        config = {k: v for k, v in group[0]["config"].items() if not k.endswith("seed")}
        named = ", ".join(f"{key.split('.')[-1]} {v}" for key, v in config.items())
        found = []
        for score in grid["scores"]:
            values = sorted(run["scores"][score] for run in group)
            mean = sum(values) / len(values)
            found.append(f"{mean:.3f} ({values[0]:.3f} to {values[-1]:.3f})")
        lines.append(f"| {named} | {len(group)} | {' | '.join(found)} |")
    return lines


def only_learned(grid: dict[str, Any]) -> dict[str, Any]:
    """The grid with the runs that score better than the most common answers."""
    return {**grid, "runs": [r for r in grid["runs"] if r["scores"][TAUGHT] >= GUESS]}


def facts(grid: dict[str, Any]) -> list[str]:
    """What the grid is, and the range of its scores."""
    runs = grid["runs"]
    lines = [
        f"### {grid['name']}",
        "",
        f"{len(runs)} of {grid['planned']} runs, {len(settings(runs))} settings, "
        f"{len(only_learned(grid)['runs'])} runs that learned; what differs: "
        f"{grid['what differs']}.",
    ]
    for score in grid["scores"]:
        values = sorted(run["scores"][score] for run in runs)
        lines.append(f"`{score}`: {values[0]:.3f} to {values[-1]:.3f}.")
    if len(grid["scores"]) == 2:
        both = [[run["scores"][score] for run in runs] for score in grid["scores"]]
        value = spearman(both[0], both[1])
        lines.append(f"Correlation of the scores: {value:+.2f}.")
    seconds = sum(run["seconds"] for run in runs)
    return [*lines, f"{seconds / 60:.0f} minutes of training and scoring.", ""]


def report(files: Sequence[Path]) -> str:
    """The tables of some grids; one kept aside only if it is the only one."""
    parts = []
    for path in files:
        grid = json.loads(path.read_text(encoding="utf-8"))
        if grid["kept_aside"] and len(files) > 1:
            held = f"{len(grid['runs'])} of {grid['planned']} runs"
            parts.append(f"### {grid['name']}\n\nKept aside, {held}.\n")
            continue
        few = len(settings(grid["runs"])) < LEAST_SETTINGS
        lines = means(grid) if few else table(grid)
        parts.append("\n".join([*facts(grid), *lines]) + "\n")
    return "\n".join(parts)


def written_into(text: str, tables: str) -> str:
    """A text with the tables between its two marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"the file lacks the line {BEGIN} or {END}")
    return f"{before}{begin}\n{tables}{end}{after}"


def main() -> None:
    """Print the tables, or write them into a document."""
    parser = argparse.ArgumentParser(description="Early signals and scores of grids.")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--write", type=Path, help="a file with the two marks")
    args = parser.parse_args()
    tables = report(args.files or RESULTS)
    if args.write is None:
        print(tables)
        return
    text = args.write.read_text(encoding="utf-8")
    args.write.write_text(written_into(text, tables), encoding="utf-8")


if __name__ == "__main__":
    main()
