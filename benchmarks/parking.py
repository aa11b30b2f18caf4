"""What a sweep saves and loses that parks runs and resumes some, on studies of others.

    python benchmarks/parking.py FOLDER [--draws 40] [--out FILE.json]

FOLDER and draws are those of benchmarks/stopping.py. A run is parked at the first look
at which its chance to beat the best finished run is below `parking.chance`. When all
runs have been started, the finished ones predict the parked ones anew, and those that
`prediction` would not stop go on, the most promising first; they may be parked again at
a later look. A parked run costs the share of its steps that was trained.

`parking.chance`, the one look, and the share that may be left parked by many finished
runs were chosen on the studies in `TUNED`; the others are reported apart.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from record import record
from stopping import Result, prediction, table_of
from studies import SEEDS, Run, public_studies

from axolotl_sftguide.config.rule_settings import ParkingSettings, PredictionSettings
from axolotl_sftguide.signals.forecast import LOOKS, Forecast, Outlook
from axolotl_sftguide.stopping.parking import Stage, limits_of, prospect_of

TUNED = (
    "algoperf_imagenet_vit",
    "algoperf_wmt",
    "bag_time",
    "mlperf_lora_v51",
    "parameter_golf",
    "peft_metamath",
)
"""The studies on which the constants were chosen."""

SIZES = (12, 40)


@dataclass(frozen=True)
class Parked(Result):
    """A result with what parking costs beside the steps."""

    most_parked: float = 0.0
    """The most checkpoints kept at a time, as a share of the runs; mean over draws."""
    resumed: float = 0.0
    """Resumes, as a share of the runs."""


class Study:
    """One order of arrival, replayed with parking."""

    def __init__(self, settings: PredictionSettings, scales: Mapping[str, int]) -> None:
        self.settings = settings
        self.scales = scales
        self.kept: list[Run] = []
        self.parked: dict[str, tuple[Run, int]] = {}
        """The runs, and the look at which each was parked."""
        self.stopped: dict[str, tuple[Run, int]] = {}
        self.most_parked = 0
        self.resumed = 0

    def replay(self, order: Sequence[Run]) -> float:
        """The share of all steps that was saved."""
        for run in order:
            self._train(run, 0, "first")
        self.most_parked = len(self.parked)
        while (best := self._most_promising()) is not None:
            run, look = self.parked.pop(best)
            self.resumed += 1
            self._train(run, look + 1, "resumed" if self.parked else None)
        ended = {**self.parked, **self.stopped}.values()
        left = sum(1 - LOOKS[look] for _, look in ended)
        return left / len(order)

    def _train(self, run: Run, first_look: int, stage: Stage | None) -> None:
        chance, worst, looks = limits_of(self.settings, stage)
        bad = 0
        for look in range(first_look, len(LOOKS)):
            found = self._outlook(run, look)
            right = found is not None and found.lower_is_better
            hopeless = right and found.chance < chance and found.in_worst(worst)
            bad = bad + 1 if hopeless else 0
            if bad == looks:
                ended = self.stopped if stage is None else self.parked
                ended[run.id] = run, look
                return
        self.kept.append(run)

    def _outlook(self, run: Run, look: int) -> Outlook | None:
        loss = run.earlier.losses[look]
        if len(self.kept) < 4 or not math.isfinite(loss):
            return None
        forecast = Forecast(tuple(other.earlier for other in self.kept))
        return forecast.outlook(look, loss, run.earlier.first)

    def _most_promising(self) -> str | None:
        chances = {}
        for run, look in self.parked.values():
            outlook = self._outlook(run, look)
            prospect = prospect_of(outlook, self._beside(run, look), self.settings)
            if prospect.resumes:
                chances[run.id] = prospect.chance
        return max(chances, key=chances.__getitem__, default=None)

    def _beside(self, run: Run, look: int) -> list[float]:
        """The losses of other parked runs at a look that they have reached."""
        return [
            other.earlier.losses[look]
            for other, reached in self.parked.values()
            if other.id != run.id
            and reached >= look
            and self.scales[other.id] == self.scales[run.id]
            and math.isfinite(other.earlier.losses[look])
        ]


def scales_of(runs: Sequence[Run]) -> dict[str, int]:
    """Runs whose first losses no gap divides have one number."""
    ordered = sorted(runs, key=lambda run: run.earlier.first)
    found, before = {}, 0.0
    for run in ordered:
        gap = before > 0 and run.earlier.first > 1.5 * before
        found[run.id] = max(found.values(), default=0) + gap
        before = run.earlier.first
    return found


def replay(
    study: str,
    runs: Sequence[Run],
    name: str,
    settings: PredictionSettings,
    size: int,
    draws: int,
) -> Parked:
    """One policy on the same draws as benchmarks/stopping.py makes."""
    scales = scales_of(runs)
    saved, kept_best, regrets, parked, resumed = [], [], [], [], []
    for index in range(draws):
        draw = random.Random(f"{study}/{size}/{index}")
        order = draw.sample(list(runs), min(size, len(runs)))
        best = max(run.score for run in order)
        if settings.parking is None:
            share, kept = stopped_for_good(order, settings, draw)
        else:
            replayed = Study(settings, scales)
            share, kept = replayed.replay(order), replayed.kept
            parked.append(replayed.most_parked / len(order))
            resumed.append(replayed.resumed / len(order))
        left = max((r.score for r in kept), default=min(r.score for r in order))
        saved.append(share)
        kept_best.append(left == best)
        regrets.append(best - left)
    seeds = SEEDS.get(study)
    regret = fmean(regrets) / seeds if seeds else None
    return Parked(
        study,
        name,
        size,
        fmean(saved),
        fmean(kept_best),
        regret,
        most_parked=fmean(parked or [0.0]),
        resumed=fmean(resumed or [0.0]),
    )


def stopped_for_good(
    order: Sequence[Run], settings: PredictionSettings, draw: random.Random
) -> tuple[float, list[Run]]:
    """The rule without parking: the share of steps saved, and the runs kept."""
    policy, kept, cost = prediction(settings.chance), [], 0.0
    for run in order:
        share = policy(run, kept, draw)
        cost += 1 if share is None else share
        if share is None:
            kept.append(run)
    return 1 - cost / len(order), kept


def policies() -> dict[str, PredictionSettings]:
    found = {
        f"stopped for good, chance {chance:.0%}": PredictionSettings(chance=chance)
        for chance in (0.02, 0.05, 0.10)
    }
    pairs = ((0.1, 0.02), (0.1, 0.05), (0.15, 0.07), (0.2, 0.1), (0.5, 0.05))
    for below, least in pairs:
        found[f"parked below {below:.0%}, resumed at {least:.0%}"] = PredictionSettings(
            chance=least, parking=ParkingSettings(chance=below)
        )
    return found


def with_costs(results: Sequence[Parked], size: int) -> str:
    """The table of benchmarks/stopping.py with checkpoints and resumes."""
    lines = table_of(results, size).splitlines()
    found = [lines[0] + " checkpoints | resumes |", lines[1] + "---|---|"]
    names = dict.fromkeys(result.policy for result in results)
    for line, name in zip(lines[2:], names, strict=True):
        own = [r for r in results if r.policy == name and r.size == size]
        most, resumed = fmean(r.most_parked for r in own), fmean(r.resumed for r in own)
        found.append(f"{line} {most:.0%} | {resumed:.0%} |")
    return "\n".join(found) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    studies = {study.name: study.runs for study in public_studies(options.folder)}
    results = []
    for size in SIZES:
        for name, settings in policies().items():
            found = [
                replay(study, runs, name, settings, size, options.draws)
                for study, runs in studies.items()
            ]
            results += found
            print(f"{size} {with_costs(found, size).splitlines()[2]}", flush=True)
    for size in SIZES:
        for what, chosen in (
            ("all studies", studies),
            ("studies that chose the constants", TUNED),
            ("the other studies", sorted({*studies} - {*TUNED})),
        ):
            own = [result for result in results if result.study in chosen]
            if own:
                print(f"\n{size} runs, {what}\n\n{with_costs(own, size)}")
    if options.out is not None:
        kept = {
            "draws": options.draws,
            "tuned": TUNED,
            "policies": [asdict(result) for result in results],
        }
        record(options.out, kept)


if __name__ == "__main__":
    main()
