"""What stopping rules save and lose on studies of other people.

    python benchmarks/stopping.py FOLDER [--draws 60] [--out FILE.json]

FOLDER holds one JSON file per study: `runs`, each with `score`, `points` ([step,
samples, loss, gradient norm, learning rate]) and perhaps `total` (samples of the whole
run), and `score.goal` (`max` or `min`). docs/evidence.md says where such studies come
from.

In each draw, 12 or 40 runs of a study arrive in random order. A policy sees a run's
loss so far, and the runs before it that were not stopped, with their scores. Printed
are the share of all steps that it saves, how often the best run is kept, and the score
lost, in standard deviations of the score between seeds (the files have none: see
`SEEDS`). The intervals resample the studies. The last table compares stated with
observed chances, where no run is stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from axolotl_sftguide.config.settings import PredictionSettings
from axolotl_sftguide.signals import Observation, Point
from axolotl_sftguide.signals.forecast import (
    LOOKS,
    EarlierRun,
    Forecast,
    earlier_run,
)
from axolotl_sftguide.stopping.rules import Prediction

STEPS = 1000
"""Each run has so many steps, and a log where the study has one."""

SEEDS = {
    "algoperf_fastmri": 0.000192,
    "algoperf_imagenet_vit": 0.000933,
    "algoperf_ogbg": 0.00393,
    "algoperf_wmt": 0.0753,
    "bag_time": 0.00486,
    "mlperf_llama31_8b_v51": 0.011,
    "mlperf_lora_v50": 0.00239,
    "mlperf_lora_v51": 0.0028,
    "mlperf_lora_v51_bs16": 0.00414,
    "parameter_golf": 0.000999,
    "peft_metamath": 0.0109,
}
"""Standard deviation of the score between seeds of one setting in these studies."""


@dataclass(frozen=True)
class Run:
    """One run of a study."""

    id: str
    score: float
    """Higher is better."""
    observations: tuple[Observation, ...]
    earlier: EarlierRun


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


Policy = Callable[[Run, Sequence[Run], random.Random], float | None]
"""The share of the run at which it is stopped, by the runs kept before it; or None."""


def read_study(path: Path) -> list[Run]:
    study = json.loads(path.read_text())
    sign = 1.0 if study["score"]["goal"] == "max" else -1.0
    return [_run(entry, sign) for entry in study["runs"]]


def _run(entry: dict[str, Any], sign: float) -> Run:
    logs = [p for p in entry["points"] if p[2] is not None and math.isfinite(p[2])]
    total = entry.get("total") or logs[-1][1]
    if not 0.5 < total / logs[-1][1] < 3:
        total = logs[-1][1]  # counted in another unit than the samples
    shares = [log[1] / total for log in logs]
    points = [
        Point(round(1e6 * s), log[2], 1.0) for s, log in zip(shares, logs, strict=True)
    ]
    end = Point(1_000_000, logs[-1][2], 1.0)
    observations = [
        Observation(max(1, round(STEPS * s)), 0, log[2], math.nan, math.nan)
        for s, log in zip(shares, logs, strict=True)
    ]
    score = sign * entry["score"]
    earlier = earlier_run(entry["id"], score, [*points, end])
    return Run(entry["id"], score, tuple(observations), earlier)


def prediction(chance: float, **changed: Any) -> Policy:
    settings = PredictionSettings(chance=chance, **changed)

    def stopped_at(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
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


def median_stopping(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
    """Median stopping (Golovin et al. 2017), from the fourth run and 15% on."""
    for look, share in enumerate(LOOKS):
        others = [r.earlier.losses[look] for r in kept]
        others = [loss for loss in others if math.isfinite(loss)]
        if len(others) >= 4 and run.earlier.losses[look] > median(others):
            return share
    return None


def halving(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
    """Asynchronous halving: at 17%, 33% and 67% only the better half goes on."""
    for look in (0, 4, 10):
        others = [r.earlier.losses[look] for r in kept]
        others = sorted(loss for loss in others if math.isfinite(loss))
        if others and run.earlier.losses[look] > others[len(others) // 2]:
            return LOOKS[look]
    return None


def one_look(share: float, keep: float) -> Policy:
    """One look: only a run among the best `keep` of the runs so far goes on."""
    look = min(range(len(LOOKS)), key=lambda i: abs(LOOKS[i] - share))

    def stopped_at(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
        losses = [r.earlier.losses[look] for r in kept]
        below = sum(loss < run.earlier.losses[look] for loss in losses)
        rank = below / (len(losses) + 1)
        return LOOKS[look] if len(losses) >= 4 and rank >= keep else None

    return stopped_at


def by_chance(run: Run, kept: Sequence[Run], draw: random.Random) -> float | None:
    """A third of the runs, whatever they look like: what no knowledge gives."""
    return 0.4 if len(kept) >= 4 and draw.random() < 1 / 3 else None


def optuna_pruner(make: Callable[[Any], Any]) -> Callable[[], Policy]:
    """One of Optuna's pruners, to which the loss is reported at each look."""

    def begin() -> Policy:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(pruner=make(optuna.pruners))

        def stopped_at(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
            trial = study.ask()
            for look, share in enumerate(LOOKS):
                if math.isfinite(run.earlier.losses[look]):
                    trial.report(run.earlier.losses[look], look + 1)
                    if trial.should_prune():
                        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                        return share
            study.tell(trial, -run.score)
            return None

        return stopped_at

    return begin


def policies() -> dict[str, Callable[[], Policy]]:
    """By name; each is begun anew for a draw."""
    found: dict[str, Callable[[], Policy]] = {
        "prediction, chance 2% (default)": lambda: prediction(0.02),
        "prediction, chance 5%": lambda: prediction(0.05),
        "prediction, chance 10% (eager)": lambda: prediction(0.10),
        "prediction, 2%, worst half": lambda: prediction(0.02, worst=0.5),
        "prediction, 2%, one look": lambda: prediction(0.02, looks=1),
        "median stopping": lambda: median_stopping,
        "asynchronous halving": lambda: halving,
        "one look at 25%, best half": lambda: one_look(0.25, 0.5),
        "one look at 25%, best three quarters": lambda: one_look(0.25, 0.75),
        "one look at 15%, best half": lambda: one_look(0.15, 0.5),
        "a third at random": lambda: by_chance,
    }
    makers: dict[str, Callable[[Any], Any]] = {
        "Median": lambda p: p.MedianPruner(n_startup_trials=4),
        "Percentile 25": lambda p: p.PercentilePruner(25.0, n_startup_trials=4),
        "Percentile 75": lambda p: p.PercentilePruner(75.0, n_startup_trials=4),
        "SuccessiveHalving": lambda p: p.SuccessiveHalvingPruner(reduction_factor=2),
        "Hyperband": lambda p: p.HyperbandPruner(
            max_resource=len(LOOKS), reduction_factor=2
        ),
    }
    for name, make in makers.items():
        found[f"Optuna {name}"] = optuna_pruner(make)
    return found


def replay(study: str, runs: Sequence[Run], name: str, size: int, draws: int) -> Result:
    """One policy on random subsets of a study in random order."""
    begin = policies()[name]
    saved, kept_best, regrets = [], [], []
    for index in range(draws):
        draw = random.Random(f"{study}/{size}/{index}")
        order = draw.sample(list(runs), min(size, len(runs)))
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
    seeds = SEEDS.get(study)
    regret = fmean(regrets) / seeds if seeds else None
    return Result(study, name, size, fmean(saved), fmean(kept_best), regret)


@dataclass(frozen=True)
class Calibration:
    """Stated chances to beat the best earlier run, and how often it was beaten."""

    stated: str
    cases: int
    mean_stated: float
    observed: float
    covered: float
    """How often the score lay in its 95% prediction interval."""


BINS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 1.0)


def calibration(studies: dict[str, list[Run]], draws: int) -> list[Calibration]:
    """Predictions at 25% and 50% of the run, with at least four runs before it."""
    cases: list[tuple[float, bool, bool]] = []
    for study, runs in studies.items():
        for index in range(draws):
            draw = random.Random(f"{study}/calibration/{index}")
            order = draw.sample(runs, min(40, len(runs)))
            for place in range(4, len(order)):
                run = order[place].earlier
                forecast = Forecast(tuple(r.earlier for r in order[:place]))
                for look in (LOOKS.index(0.25), LOOKS.index(0.5)):
                    found = forecast.outlook(look, run.losses[look], run.first)
                    if found is not None and found.lower_is_better:
                        inside = found.low <= run.score <= found.high
                        cases.append((found.chance, run.score > found.best, inside))
    rows, low = [], 0.0
    for high in BINS:
        own = [case for case in cases if low <= case[0] < high]
        if own:
            stated, beaten, inside = (fmean(part) for part in zip(*own, strict=True))
            name = f"{low:.1%} to {high:.1%}"
            rows.append(Calibration(name, len(own), stated, beaten, inside))
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


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95% percentile interval of the mean over studies, by resampling them."""
    draw = random.Random(0)
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(2000))
    return means[50], means[-51]


def table_of(results: Sequence[Result], size: int) -> str:
    """Policies as rows, means over the studies, as in docs/evidence.md."""
    lines = [
        "| policy | steps saved (95%) | best run kept (95%) | regret: mean | worst |",
        "|---|---|---|---|---|",
    ]
    names = dict.fromkeys(r.policy for r in results)
    for name in names:
        own = [r for r in results if r.policy == name and r.size == size]
        saved, kept = [r.saved for r in own], [r.best_kept for r in own]
        regret = [r.regret for r in own if r.regret is not None]
        lines.append(
            f"| {name} | {_share(saved)} | {_share(kept)} "
            f"| {fmean(regret):.2f} | {max(regret):.2f} |"
        )
    return "\n".join(lines) + "\n"


def _share(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{fmean(values):.0%} ({low:.0%} to {high:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.json"))
    studies = {path.stem: read_study(path) for path in paths}
    results = [
        replay(study, runs, name, size, options.draws)
        for study, runs in studies.items()
        for size in (12, 40)
        for name in policies()
    ]
    calibrated = calibration(studies, max(1, options.draws // 6))
    for size in (12, 40):
        print(f"Studies of {size} runs\n\n{table_of(results, size)}")
    print(f"Chances\n\n{calibration_table(calibrated)}")
    if options.out is not None:
        found = {
            "policies": [asdict(result) for result in results],
            "calibration": [asdict(row) for row in calibrated],
        }
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
