"""Stopping policies that know no prediction, as baselines of `stopping.py`.

Each is told the loss of a run at each of `LOOKS`. Optuna's pruners are its own code;
Ray Tune's two schedulers are written here after their documentation and version 2.60.0:
`python benchmarks/rivals.py FOLDER` compares them with Ray where it is installed.
"""

from __future__ import annotations

import argparse
import math
import random
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from studies import Run, public_studies

from axolotl_sftguide.signals.cohort import quantile_of
from axolotl_sftguide.signals.forecast import LOOKS

Policy = Callable[[Run, Sequence[Run], random.Random], float | None]
"""The share of the run at which it is stopped, by the runs kept before it; or None."""


def median_stopping(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
    """Median stopping (Golovin et al. 2017), from the fourth run and 15% on."""
    for look, share in enumerate(LOOKS):
        others = [r.earlier.losses[look] for r in kept]
        others = [loss for loss in others if math.isfinite(loss)]
        if len(others) >= 4 and run.earlier.losses[look] > median(others):
            return share
    return None


def halving(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
    """Asynchronous halving: at 15%, 35% and 65% only the better half goes on."""
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
        # The Wilcoxon pruner warns of each run that has reported too little.
        warnings.filterwarnings("ignore", category=UserWarning, module="optuna")
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


def ray_asha(factor: float) -> Callable[[], Policy]:
    """Ray Tune's `ASHAScheduler`, with rungs at 15% of the run times powers of factor.

    The first report at or after a rung is compared with those of all earlier runs
    there; a run below their best 1 / factor stops.
    """
    rungs = [LOOKS[0] * factor**k for k in range(8) if LOOKS[0] * factor**k < 1]

    def begin() -> Policy:
        recorded: dict[float, list[float]] = defaultdict(list)

        def stopped_at(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
            seen: set[float] = set()
            for share, loss in _reports(run):
                rung = max(r for r in rungs if r <= share + 1e-9)
                if rung in seen:
                    continue
                seen.add(rung)
                others = recorded[rung]
                limit = quantile_of(others, 1 / factor) if others else math.inf
                recorded[rung] = [*others, loss]
                if loss > limit:
                    return share
            return None

        return stopped_at

    return begin


def ray_median() -> Policy:
    """Ray Tune's `MedianStoppingRule`, with a grace period of 15% of the run.

    A run stops if its lowest loss is above the median of the mean losses that all
    other runs had up to there, of which it needs three.
    """
    reports: dict[str, list[tuple[float, float]]] = {}

    def stopped_at(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
        others = list(reports.values())
        mine = reports[run.id] = []
        for share, loss in _reports(run):
            mine.append((share, loss))
            beyond = [other for other in others if other[-1][0] >= share]
            means = [
                fmean(value for at, value in other if at <= share)
                for other in beyond
                if other[0][0] <= share
            ]
            lowest = min(value for _, value in mine)
            if len(means) >= 3 and lowest > median(means):
                return share
        return None

    return stopped_at


def _reports(run: Run) -> list[tuple[float, float]]:
    """The looks with their losses."""
    pairs = zip(LOOKS, run.earlier.losses, strict=True)
    return [(share, loss) for share, loss in pairs if math.isfinite(loss)]


def policies() -> dict[str, Callable[[], Policy]]:
    """By name; each is begun anew for a draw."""
    found: dict[str, Callable[[], Policy]] = {
        "median stopping": lambda: median_stopping,
        "asynchronous halving": lambda: halving,
        "one look at 25%, best half": lambda: one_look(0.25, 0.5),
        "one look at 25%, best three quarters": lambda: one_look(0.25, 0.75),
        "one look at 15%, best half": lambda: one_look(0.15, 0.5),
        "a third at random": lambda: by_chance,
        "Ray ASHA, factor 2": ray_asha(2),
        "Ray ASHA, factor 4": ray_asha(4),
        "Ray median stopping": ray_median,
    }
    makers: dict[str, Callable[[Any], Any]] = {
        "Median": lambda p: p.MedianPruner(n_startup_trials=4),
        "Percentile 25": lambda p: p.PercentilePruner(25.0, n_startup_trials=4),
        "Percentile 75": lambda p: p.PercentilePruner(75.0, n_startup_trials=4),
        "SuccessiveHalving": lambda p: p.SuccessiveHalvingPruner(reduction_factor=2),
        "Hyperband": lambda p: p.HyperbandPruner(
            max_resource=len(LOOKS), reduction_factor=2
        ),
        "Wilcoxon": lambda p: p.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2),
    }
    for name, make in makers.items():
        found[f"Optuna {name}"] = optuna_pruner(make)
    return found


def from_ray(make: Callable[[Any], Any]) -> Callable[[], Policy]:
    """One of Ray Tune's own schedulers, called as Tune calls it."""
    from types import SimpleNamespace

    from ray.tune import schedulers

    controller = SimpleNamespace(get_live_trials=list)

    def begin() -> Policy:
        scheduler = make(schedulers)

        def stopped_at(run: Run, kept: Sequence[Run], _: random.Random) -> float | None:
            trial = _Trial(run.id)
            scheduler.on_trial_add(controller, trial)
            result: dict[str, float] = {}
            for share, loss in _reports(run):
                result = {"percent": 100 * share, "loss": loss}
                if scheduler.on_trial_result(controller, trial, result) == "STOP":
                    scheduler.on_trial_remove(controller, trial)
                    return share
            scheduler.on_trial_complete(controller, trial, {**result, "percent": 100})
            return None

        return stopped_at

    return begin


class _Trial:
    """What Ray's schedulers read of a trial."""

    def __init__(self, name: str) -> None:
        self.trial_id = name
        self.status = "RUNNING"


def compare(folder: Path, draws: int) -> None:
    """Print in how many runs Ray's own schedulers decide otherwise."""
    common = {"time_attr": "percent", "metric": "loss", "mode": "min"}

    def asha(factor: float) -> Callable[[Any], Any]:
        return lambda s: s.ASHAScheduler(
            **common, max_t=100, grace_period=15, reduction_factor=factor
        )

    theirs = {
        "Ray ASHA, factor 2": from_ray(asha(2)),
        "Ray ASHA, factor 4": from_ray(asha(4)),
        "Ray median stopping": from_ray(
            lambda s: s.MedianStoppingRule(**common, grace_period=15)
        ),
    }
    studies = public_studies(folder)
    for name, begin in theirs.items():
        runs = other = 0
        for study in studies:
            for index in range(draws):
                draw = random.Random(f"{study.name}/{index}")
                order = draw.sample(study.runs, min(40, len(study.runs)))
                one, two = begin(), policies()[name]()
                for run in order:
                    runs += 1
                    other += one(run, (), draw) != two(run, (), draw)
        print(f"{name}: {other} of {runs:,} runs end elsewhere under Ray's own code")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    compare(options.folder, options.draws)
