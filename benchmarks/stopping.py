"""What stopping rules save and lose on studies of other people, and on our own grids.

    python benchmarks/stopping.py FOLDER [--draws 40] [--out FILE.json] [--only TEXT]
    python benchmarks/stopping.py --kept-aside schedule --out FILE.json
    python benchmarks/stopping.py --pooled --only prediction --out FILE.json
    python benchmarks/stopping.py --page docs/evidence.md

FOLDER holds one JSON file per study, in the form that `studies.py` describes;
docs/evidence.md says where such studies come from. The open grids of
`benchmarks/grids` are replayed beside them, one study for each of their two scores.

In each draw, 12 or 40 runs of a study, or all if there are fewer, arrive in random
order. A policy sees a run's loss so far, and the runs before it that were not stopped,
with their scores. Printed are the share of all steps that it saves, how often the best
run is kept, and the score lost, in standard deviations of the score between seeds. The
intervals resample the studies. The last tables compare stated with observed chances,
where no run is stopped, and say from which share of the run on scores are predictable.

With `--only`, policies whose names contain the text are replayed, and replace those of
the same names in `--out`. With `--page`, nothing is replayed: the tables of the
committed results are written into the page.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import rivals
from record import record
from rivals import Policy
from studies import (
    STEPS,
    Run,
    Study,
    by_setting,
    own_studies,
    pooled_studies,
    public_studies,
)

from axolotl_sftguide.config.rule_settings import PredictionSettings
from axolotl_sftguide.evidence.page import page_with_parts
from axolotl_sftguide.signals.correlation import Correlation, spearman
from axolotl_sftguide.signals.forecast import LOOKS, Forecast, Outlook
from axolotl_sftguide.signals.regression import LEAST_POINTS
from axolotl_sftguide.stopping.rules import Prediction

RESULTS = Path(__file__).resolve().parent / "results" / "stopping.json"
KEPT_ASIDE = RESULTS.with_name("stopping_kept_aside.json")
POOLED = RESULTS.with_name("stopping_pooled.json")
SIZES = (12, 40)


@dataclass(frozen=True)
class Result:
    """One policy on one study, over all draws."""

    study: str
    policy: str
    size: int
    saved: float
    best_kept: float
    regret: float | None
    """In standard deviations between seeds; None if they are unknown."""
    own: bool = False


def prediction(chance: float, **changed: Any) -> Policy:
    settings = PredictionSettings(chance=chance, **changed)

    def stopped_at(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
        if len(kept) < LEAST_POINTS:
            return None
        forecast = Forecast(tuple(other.earlier for other in kept))
        rule = Prediction(
            forecast, STEPS, settings.chance, settings.worst, settings.looks
        )
        state = rule.init()
        for observation in run.observations:
            state, verdict = rule.step(state, observation)
            if verdict is not None:
                return observation.step / STEPS
        return None

    return stopped_at


def by_signal(chance: float, signal: str) -> Policy:
    """The guards of `prediction` on the loss, on evaluations, or on both.

    Args:
        chance: As in the settings.
        signal: `loss`; `evaluations`, with the loss where this run or all but three of
            the others have none; or `either`, where one of them is enough for a stop.
    """
    settings = PredictionSettings()

    def bad(found: Outlook | None) -> bool:
        return (
            found is not None
            and found.lower_is_better
            and found.in_worst(settings.worst)
            and found.chance < chance
        )

    def stopped_at(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
        if len(kept) < LEAST_POINTS:
            return None
        by_loss = Forecast(tuple(other.earlier for other in kept))
        by_evaluation = Forecast(tuple(other.evaluated for other in kept))
        first, streaks = run.earlier.first, [0, 0]
        for look, share in enumerate(LOOKS):
            found = by_loss.outlook(look, run.earlier.losses[look], first)
            value = run.evaluated.losses[look]
            evaluated = by_evaluation.outlook(look, value, first)
            if signal == "evaluations":
                found = found if evaluated is None else evaluated
            signals = (found, evaluated) if signal == "either" else (found,)
            for i, one in enumerate(signals):
                streaks[i] = streaks[i] + 1 if bad(one) else 0
            if max(streaks) >= settings.looks:
                return share
        return None

    return stopped_at


def signal_policies() -> dict[str, Callable[[], Policy]]:
    """The same guards on other signals, all read in the same way."""
    return {
        f"signal: {signal}, {chance:.0%}": partial(by_signal, chance, signal)
        for signal in ("loss", "evaluations", "either")
        for chance in (0.02, 0.05, 0.1)
    }


def policies() -> dict[str, Callable[[], Policy]]:
    """By name; each is begun anew for a draw."""
    return {
        "prediction, chance 2% (default)": lambda: prediction(0.02),
        "prediction, chance 5%": lambda: prediction(0.05),
        "prediction, chance 10% (eager)": lambda: prediction(0.10),
        "prediction, 2%, worst half": lambda: prediction(0.02, worst=0.5),
        "prediction, 2%, one look": lambda: prediction(0.02, looks=1),
        **rivals.policies(),
        **signal_policies(),
    }


def replay(study: Study, name: str, size: int, draws: int) -> Result:
    """One policy on random subsets of a study in random order."""
    begin, runs = policies()[name], study.runs
    saved, kept_best, regrets = [], [], []
    for index in range(draws):
        draw = random.Random(f"{study.name}/{size}/{index}")
        order = draw.sample(runs, min(size, len(runs)))
        policy, kept, cost = begin(), [], 0.0
        for run in order:
            share = policy(run, kept, draw)
            cost += 1 if share is None else share
            if share is None:
                kept.append(run)
        best = max(run.score for run in order)
        left = max((run.score for run in kept), default=min(r.score for r in order))
        saved.append(1 - cost / len(order))
        kept_best.append(left == best)
        regrets.append(best - left)
    seeds = study.seed_deviation
    regret = fmean(regrets) / seeds if seeds else None
    means = fmean(saved), fmean(kept_best)
    return Result(study.name, name, size, *means, regret, study.own)


@dataclass(frozen=True)
class Calibration:
    """Stated chances to beat the best earlier run, and how often it was beaten."""

    stated: str
    cases: int
    mean_stated: float
    observed: float
    covered: float
    """How often the score lay in its 95% prediction interval."""
    own: bool = False


BINS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 1.0)
OWN_BINS = (0.02, 0.1, 0.35, 1.0)


def calibration(
    studies: Sequence[Study], draws: int, bins: Sequence[float] = BINS
) -> list[Calibration]:
    """Predictions at 25% and 50% of the run, with at least four runs before it."""
    cases: list[tuple[float, bool, bool]] = []
    for study in studies:
        for index in range(draws):
            draw = random.Random(f"{study.name}/calibration/{index}")
            order = draw.sample(study.runs, min(40, len(study.runs)))
            for place in range(LEAST_POINTS, len(order)):
                run = order[place].earlier
                forecast = Forecast(tuple(r.earlier for r in order[:place]))
                for look in (LOOKS.index(0.25), LOOKS.index(0.5)):
                    found = forecast.outlook(look, run.losses[look], run.first)
                    if found is not None and found.lower_is_better:
                        inside = found.low <= run.score <= found.high
                        cases.append((found.chance, run.score > found.best, inside))
    rows, low, own = [], 0.0, studies[0].own
    for high in bins:
        chosen = [case for case in cases if low <= case[0] < high]
        if chosen:
            stated, beaten, inside = (fmean(part) for part in zip(*chosen, strict=True))
            name = f"{low:.1%} to {high:.1%}"
            rows.append(Calibration(name, len(chosen), stated, beaten, inside, own))
        low = high
    return rows


def calibration_table(rows: Sequence[Calibration]) -> str:
    lines = [
        "| stated chance | predictions | mean stated | observed | score in interval |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.stated} | {row.cases:,} | {row.mean_stated:.1%} | {row.observed:.1%} "
        f"| {row.covered:.1%} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Predictable:
    """How well the loss at a share of the run goes with the score of its study."""

    study: str
    runs: int
    settings: int
    at: dict[str, tuple[float, float, float] | None]
    """The rank correlation with its 95% interval over settings, by the share."""
    clear: list[float]
    """The looks at which the interval excludes zero."""
    own: bool = False


SHOWN = (0.15, 0.25, 0.5, 0.65)


def predictable(study: Study) -> Predictable:
    """The correlation at each look; repeats of a setting are one pair of means."""
    found: dict[float, Correlation | None] = {}
    settings = by_setting(study.runs)
    for look, share in enumerate(LOOKS):
        pairs = [
            (fmean(losses), fmean(run.score for run in repeats))
            for repeats in settings
            if (losses := _finite(run.earlier.losses[look] for run in repeats))
        ]
        found[share] = spearman([p[0] for p in pairs], [p[1] for p in pairs])
    at = {
        f"{share:.0%}": None if c is None else (c.value, c.low, c.high)
        for share in SHOWN
        for c in (found[share],)
    }
    name, runs = study.name, len(study.runs)
    clear = [share for share, c in found.items() if c is not None and c.clear]
    return Predictable(name, runs, len(settings), at, clear, study.own)


def _finite(values: Any) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def predictable_table(rows: Sequence[Predictable]) -> str:
    heads = " | ".join(f"{share:.0%}" for share in SHOWN)
    lines = [f"| study | settings | {heads} | clear at |", "|" + "---|" * 7]
    for row in rows:
        cells = (
            "-" if c is None else f"{c[0]:+.2f} ({c[1]:+.2f} to {c[2]:+.2f})"
            for c in row.at.values()
        )
        name = f"{row.study} | {row.settings}"
        clear = _spans(row.clear) if any(row.at.values()) else "too few settings"
        lines.append(f"| {name} | {' | '.join(cells)} | {clear} |")
    return "\n".join(lines) + "\n"


def _spans(shares: Sequence[float]) -> str:
    """Looks in a row as one span."""
    places = [LOOKS.index(share) for share in shares]
    starts = [p for p in places if p - 1 not in places]
    ends = [p for p in places if p + 1 not in places]
    spans = (
        f"{LOOKS[a]:.0%}" if a == b else f"{LOOKS[a]:.0%} to {LOOKS[b]:.0%}"
        for a, b in zip(starts, ends, strict=True)
    )
    return ", ".join(spans) or "never"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95% percentile interval of the mean over studies, by resampling them."""
    draw = random.Random(0)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(2000))
    return means[50], means[-51]


def table_of(
    results: Sequence[Result], size: int, own: bool = False, signals: bool = False
) -> str:
    """Policies as rows, means over the studies, as in docs/evidence.md.

    A handful of studies gives no interval.

    Args:
        results: Of all policies and studies.
        size: The size of the studies.
        own: The grids of this repository, not the studies of others.
        signals: The policies that differ in their signal, not all others.
    """
    heads = (
        "steps saved | best run kept"
        if own
        else "steps saved (95%) | best run kept (95%)"
    )
    lines = [f"| policy | {heads} | regret: mean | worst |", "|---|---|---|---|---|"]
    share = _mean if own else _share
    for name in dict.fromkeys(r.policy for r in results):
        chosen = [
            r for r in results if r.policy == name and r.size == size and r.own is own
        ]
        if not chosen or name.startswith("signal") is not signals:
            continue
        saved, kept = [r.saved for r in chosen], [r.best_kept for r in chosen]
        regret = [r.regret for r in chosen if r.regret is not None]
        lines.append(
            f"| {name} | {share(saved)} | {share(kept)} "
            f"| {fmean(regret):.2f} | {max(regret):.2f} |"
        )
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float]) -> str:
    return f"{fmean(values):.0%}"


def _share(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{fmean(values):.0%} ({low:.0%} to {high:.0%})"


def by_study_table(results: Sequence[Result]) -> str:
    """The default and the eager setting on each study of all runs."""
    lines = [
        "| study | default: saved | best kept | regret | eager: saved | best kept "
        "| regret |",
        "|" + "---|" * 7,
    ]
    size, names = SIZES[-1], ("prediction, chance 2%", "prediction, chance 10%")
    for study in dict.fromkeys(r.study for r in results):
        cells = []
        for name in names:
            for r in results:
                if (r.study, r.size) == (study, size) and r.policy.startswith(name):
                    lost = "-" if r.regret is None else f"{r.regret:.2f}"
                    cells.append(f"{r.saved:.0%} | {r.best_kept:.0%} | {lost}")
        lines.append(f"| {study} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page_parts() -> dict[str, str]:
    """The tables of the page by their marks, from the committed results."""
    files = (RESULTS, KEPT_ASIDE, POOLED)
    found = {path: json.loads(path.read_text()) for path in files}
    results, aside, pooled = (
        [Result(**row) for row in found[path]["policies"]] for path in files
    )
    parts = {}
    for size in SIZES:
        parts[f"others {size}"] = table_of(results, size)
        parts[f"signals {size}"] = table_of(results, size, signals=True)
        parts[f"own {size}"] = table_of(results, size, own=True)
        parts[f"kept aside {size}"] = table_of(aside, size, own=True)
    chances = [Calibration(**row) for row in found[RESULTS]["calibration"]]
    shares = [Predictable(**row) for row in found[RESULTS]["predictable"]]
    for name, own in (("others", False), ("own", True)):
        chosen = [r for r in results if r.own is own]
        parts[f"{name} by study"] = by_study_table(chosen)
        parts[f"{name} chances"] = calibration_table(
            [r for r in chances if r.own is own]
        )
        parts[f"{name} predictable"] = predictable_table(
            [row for row in shares if row.own is own]
        )
    parts["pooled by study"] = by_study_table(pooled)
    parts["kept aside by study"] = by_study_table(aside)
    rows = found[KEPT_ASIDE]["predictable"]
    parts["kept aside predictable"] = predictable_table(
        [Predictable(**row) for row in rows]
    )
    return {f"stopping: {name}": text for name, text in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="part of a policy's name")
    parser.add_argument("--kept-aside", help="replay only this grid of our own")
    parser.add_argument("--pooled", action="store_true", help="our grids as one study")
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    options = parser.parse_args()
    if options.page is not None:
        page = options.page.read_text()
        options.page.write_text(page_with_parts(page, page_parts()))
        return
    own = pooled_studies() if options.pooled else own_studies(options.kept_aside)
    public = public_studies(options.folder) if options.folder else []
    results = [
        replay(study, name, size, options.draws)
        for study in [*public, *own]
        for size in SIZES
        for name in policies()
        if options.only in name
    ]
    draws = max(1, options.draws // 6)
    calibrated = calibration(public, draws) if public else []
    calibrated += calibration(own, draws, OWN_BINS)
    shares = [predictable(study) for study in [*public, *own]]
    for group in (False, True):
        chosen = [r for r in results if r.own is group]
        if not chosen:
            continue
        print("Our own grids\n" if group else "Studies of others\n")
        for size in SIZES:
            print(f"Studies of {size} runs\n\n{table_of(chosen, size, group)}")
        print(f"By study\n\n{by_study_table(chosen)}")
        rows = [row for row in calibrated if row.own is group]
        print(f"Chances\n\n{calibration_table(rows)}")
        print(f"{predictable_table([row for row in shares if row.own is group])}")
    if options.out is not None:
        write(options.out, results, calibrated, shares)


def write(
    path: Path,
    results: Sequence[Result],
    calibrated: Sequence[Calibration],
    shares: Sequence[Predictable],
) -> None:
    """Write the results, in place of those of the same study, policy and size."""
    before = json.loads(path.read_text()) if path.exists() else {}
    order = {name: place for place, name in enumerate(policies())}
    content = {
        "policies": sorted(
            _replaced(before, "policies", results, ("study", "policy", "size")),
            key=lambda r: (
                r.get("own", False),
                r["study"],
                r["size"],
                order[r["policy"]],
            ),
        ),
        "calibration": _replaced(before, "calibration", calibrated, ("own",)),
        "predictable": _replaced(before, "predictable", shares, ("study",)),
    }
    record(path, content)


def _replaced(
    before: dict[str, Any], name: str, rows: Sequence[Any], keys: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The rows of before that are not replaced, and the new ones."""
    new = [asdict(row) for row in rows]
    made = {tuple(row.get(key, False) for key in keys) for row in new}
    return [
        row
        for row in before.get(name, [])
        if tuple(row.get(key, False) for key in keys) not in made
    ] + new


if __name__ == "__main__":
    main()
