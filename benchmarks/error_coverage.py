"""How often errors and intervals of the rules and the backtest hold as stated.

    python benchmarks/error_coverage.py [--rounds 20000] [--only PART] [--write]

Simulates correlated steps, early signals and studies whose truth is known. It takes
about ten minutes on one core. With `--write` the results go into the folder of results,
and their tables into docs/evidence.md; `--page` makes the tables anew from there. With
`--only`, one part is simulated and takes the place of that of the results.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from record import record

from axolotl_sftguide.evidence.page import page_with_parts
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.signals.cohort import doubt_of, quantile_of
from axolotl_sftguide.signals.correlation import spearman
from axolotl_sftguide.signals.noise_scale import _Means, estimate
from axolotl_sftguide.stopping import resampling
from axolotl_sftguide.stopping.backtest import Backtest, backtest
from axolotl_sftguide.stopping.baselines import RecordedRun
from axolotl_sftguide.stopping.rules._window import Signal

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "coverage.json"
PAGE = HERE.parent / "docs" / "evidence.md"

WINDOW = 16
STEPS = (32, 64, 256)
MEASUREMENTS = (16, 64, 256)
NOISES = {
    "0": (0.0, 0.0),
    "0.5": (0.5, 0.0),
    "0.8": (0.8, 0.0),
    "0.8 in half of the variance": (0.8, 0.5),
}
"""By name: the correlation of neighbours, and the share that is independent noise."""

Rows = list[dict[str, Any]]


def steps_of(draw: random.Random, count: int, noise: str) -> list[float]:
    """Values of mean 0 and variance 1."""
    correlation, white = NOISES[noise]
    fresh = math.sqrt(1 - correlation**2)
    slow, found = draw.gauss(0, 1), []
    for _ in range(count):
        other = draw.gauss(0, 1) if white else 0.0
        found.append(math.sqrt(1 - white) * slow + math.sqrt(white) * other)
        slow = correlation * slow + fresh * draw.gauss(0, 1)
    return found


def windows(rounds: int) -> Rows:
    """How often noise alone exceeds three errors of the mean of the last 16 steps."""
    rows = []
    for noise in NOISES:
        row: dict[str, Any] = {"noise": noise, "independent": 0.0, "after": {}}
        for steps in STEPS:
            draw = random.Random(steps)
            exceeded = naive = 0
            for _ in range(rounds):
                signal = Signal()
                for value in steps_of(draw, steps, noise):
                    signal = signal.add(value, WINDOW)
                own = signal.average()
                exceeded += own.mean > own.limit(3.0)
                naive += own.mean > 3 * stdev(signal.values) / math.sqrt(WINDOW)
            row["after"][str(steps)] = exceeded / rounds
            row["independent"] = naive / rounds
        rows.append(row)
    return rows


def noise_scales(rounds: int) -> Rows:
    """How often the interval holds the noise scale, with a signal of 2.5."""
    true = 8 * 2.0 / 2.5
    rows = []
    for noise in NOISES:
        row: dict[str, Any] = {"noise": noise, "independent": 0.0, "after": {}}
        for count in MEASUREMENTS:
            draw = random.Random(count)
            held = naive = 0
            for _ in range(rounds):
                noises = [2 + 0.3 * x for x in steps_of(draw, count, noise)]
                squares = [4.5 + 0.6 * x for x in steps_of(draw, count, noise)]
                found = estimate(
                    Observation(i, 8 * i, 1.0, math.sqrt(s), 1e-3, grad_noise=n)
                    for i, (n, s) in enumerate(zip(noises, squares, strict=True), 1)
                )
                assert found is not None
                held += found.simple_low <= true <= found.simple_high
                signals = [s - n for n, s in zip(noises, squares, strict=True)]
                plain = _Means.of([8 * n for n in noises], signals, count - 1).ratio()
                naive += plain[0] <= true <= plain[1]
            row["after"][str(count)] = held / rounds
            row["independent"] = naive / rounds
        rows.append(row)
    return rows


def normal_pairs(
    draw: random.Random, count: int, correlation: float
) -> tuple[list[float], list[float]]:
    one = [draw.gauss(0, 1) for _ in range(count)]
    fresh = math.sqrt(1 - correlation**2)
    return one, [correlation * x + fresh * draw.gauss(0, 1) for x in one]


def bootstrapped(
    draw: random.Random, one: Sequence[float], two: Sequence[float]
) -> tuple[float, float]:
    """The percentile interval of a bootstrap of the pairs."""
    found = []
    for _ in range(400):
        drawn = draw.choices(range(len(one)), k=len(one))
        got = spearman([one[i] for i in drawn], [two[i] for i in drawn])
        if got is not None:
            found.append(got.value)
    return quantile_of(found, 0.025), quantile_of(found, 0.975)


def correlations(rounds: int) -> Rows:
    """How often the interval holds a rank correlation of normal variables."""
    rows = []
    for count in (6, 12, 24):
        for correlation in (0.0, 0.6, 0.9, 0.98):
            draw = random.Random(count)
            true = 6 / math.pi * math.asin(correlation / 2)
            held = boot = 0
            for _ in range(rounds):
                pairs = normal_pairs(draw, count, correlation)
                found = spearman(*pairs)
                assert found is not None
                held += found.low - 1e-12 <= true <= found.high
            fewer = min(rounds, 500)
            for _ in range(fewer):
                low, high = bootstrapped(draw, *normal_pairs(draw, count, correlation))
                boot += low - 1e-12 <= true <= high
            rows.append(
                {
                    "pairs": count,
                    "true": true,
                    "held": held / rounds,
                    "bootstrap": boot / fewer,
                }
            )
    return rows


def gates(rounds: int) -> Rows:
    """How often runs support `cohort`: both signals predict the score alike."""
    rows = []
    for count in (8, 12, 20, 40):
        row: dict[str, Any] = {"runs": count, "open": {}}
        for correlation in (0.0, 0.6, 0.8, 0.9):
            draw = random.Random(count)
            opened = 0
            for _ in range(rounds):
                scores, losses = normal_pairs(draw, count, correlation)
                fresh = math.sqrt(1 - correlation**2)
                norms = [-correlation * s + fresh * draw.gauss(0, 1) for s in scores]
                opened += (
                    doubt_of(list(zip(losses, norms, scores, strict=True))) is None
                )
            row["open"][str(correlation)] = opened / rounds
        rows.append(row)
    return rows


class AboveQuantile:
    """Stops a run at a quarter if its loss is above a quantile of the runs before."""

    name = "above a quantile"

    def __init__(self, share: float) -> None:
        self.share = share

    def begin(self) -> Callable[[RecordedRun, Sequence[RecordedRun]], int | None]:
        def stopped_at(run: RecordedRun, kept: Sequence[RecordedRun]) -> int | None:
            losses = [other.observations[0].loss for other in kept]
            if len(losses) < 3:
                return None
            above = run.observations[0].loss > quantile_of(losses, self.share)
            return 25 if above else None

        return stopped_at


def study(
    draw: random.Random, settings: int, repeats: int, correlation: float
) -> list[RecordedRun]:
    """Runs whose early loss and score differ by setting, and a little by seed."""
    runs = []
    for setting in range(settings):
        (loss,), (score,) = normal_pairs(draw, 1, -correlation)
        for repeat in range(repeats):
            early = Observation(25, 25, loss + draw.gauss(0, 0.3), 1.0, 1e-3)
            name, value = f"{setting}-{repeat}", score + draw.gauss(0, 0.3)
            steps = (early, Observation(100, 100, 1.0, 1.0, 1e-3))
            runs.append(RecordedRun(name, name, value, steps, setting=str(setting)))
    return runs


_FIGURES = ("steps_saved", "best_kept", "regret")


def backtests(rounds: int) -> Rows:
    """How often the intervals hold the means over many studies of that size."""
    rows = []
    for settings, repeats in ((8, 1), (12, 1), (24, 1), (6, 2)):
        for correlation in (0.0, 0.6, 0.9):
            draw = random.Random(settings)

            def replayed(
                orders: int,
                made: tuple[int, int, float] = (settings, repeats, correlation),
                draw: random.Random = draw,
            ) -> Backtest:
                runs = study(draw, *made)
                return backtest(
                    runs, AboveQuantile(0.67), orders=orders, seed=draw.randrange(10**6)
                )

            draws, resampling._DRAWS = resampling._DRAWS, 1
            many = [replayed(5) for _ in range(10 * rounds)]
            resampling._DRAWS = draws
            true = {name: fmean(getattr(b, name) for b in many) for name in _FIGURES}
            held = dict.fromkeys(_FIGURES, 0)
            for _ in range(rounds):
                found = replayed(40).intervals
                assert found is not None
                for name in _FIGURES:
                    low, high = getattr(found, name)
                    held[name] += low <= true[name] <= high
            rows.append(
                {
                    "runs": f"{settings} settings"
                    + (f" of {repeats} seeds" if repeats > 1 else ""),
                    "correlation": correlation,
                    "true": true,
                    "held": {name: count / rounds for name, count in held.items()},
                }
            )
    return rows


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(line) + " |" for line in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]]) + "\n"


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}%"


def tables_of(results: dict[str, Any]) -> dict[str, str]:
    """The tables on the page, by the name of their part."""
    rows = results["windows"]
    head = ["correlation of neighbours", "if taken as independent"]
    made = {
        "window errors": table(
            head + [f"after {steps} steps" for steps in STEPS],
            [
                [r["noise"], percent(r["independent"], 2)]
                + [percent(r["after"][str(steps)], 2) for steps in STEPS]
                for r in rows
            ],
        ),
        "noise scale coverage": table(
            head + [f"{count} measurements" for count in MEASUREMENTS],
            [
                [r["noise"], percent(r["independent"])]
                + [percent(r["after"][str(count)]) for count in MEASUREMENTS]
                for r in results["noise_scales"]
            ],
        ),
        "correlation coverage": table(
            ["pairs", "true correlation", "held", "by a bootstrap"],
            [
                [
                    str(r["pairs"]),
                    f"{r['true']:.2f}",
                    percent(r["held"]),
                    percent(r["bootstrap"]),
                ]
                for r in results["correlations"]
            ],
        ),
    }
    shares = list(results["gates"][0]["open"])
    made["cohort gate"] = table(
        ["runs", *(f"correlation {share}" for share in shares)],
        [
            [str(r["runs"]), *(percent(r["open"][share]) for share in shares)]
            for r in results["gates"]
        ],
    )
    made["backtest coverage"] = table(
        [
            "study",
            "correlation of loss and score",
            "steps saved",
            "best kept",
            "regret",
        ],
        [
            [
                r["runs"],
                f"{-r['correlation']:g}" if r["correlation"] else "0",
                *(percent(r["held"][name], 0) for name in _FIGURES),
            ]
            for r in results["backtests"]
        ],
    )
    counts = results["rounds"]
    made["simulated"] = (
        f"Windows of steps were simulated {counts['windows']:,} times, studies "
        f"{counts['backtests']:,} times,\nthe bootstrap 500 times and all else "
        f"{counts['others']:,} times.\n"
    )
    return made


PARTS: dict[str, tuple[Callable[[int], Rows], int]] = {
    "windows": (windows, 1),
    "noise_scales": (noise_scales, 10),
    "correlations": (correlations, 10),
    "gates": (gates, 10),
    "backtests": (backtests, 50),
}
"""By name, with the share of the rounds: one in so many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--page", action="store_true", help="only make the tables")
    parser.add_argument("--only", choices=list(PARTS))
    arguments = parser.parse_args()
    rounds = arguments.rounds
    if arguments.page:
        made = tables_of(json.loads(RESULTS.read_text()))
        PAGE.write_text(page_with_parts(PAGE.read_text(), made))
        return
    counts = {"windows": rounds, "others": rounds // 10, "backtests": rounds // 50}
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if arguments.only else {}
    if arguments.only and results["rounds"] != counts:
        parser.error("--only needs the --rounds of the results")
    results["rounds"] = counts
    for name, (simulate, share) in PARTS.items():
        if arguments.only not in (None, name):
            continue
        results[name] = simulate(rounds // share)
        print(name, json.dumps(results[name]), flush=True)
    made = tables_of(results)
    print(*made.values(), sep="\n")
    if arguments.write:
        record(RESULTS, results)
        PAGE.write_text(page_with_parts(PAGE.read_text(), made))


if __name__ == "__main__":
    main()
