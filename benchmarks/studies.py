"""Studies of runs with curves and scores, for the benchmarks of stopping rules.

One JSON file per study: `runs`, each with `config`, `points` ([step, samples, loss,
gradient norm, learning rate]), perhaps `total` (samples of the whole run) and `evals`
([step or samples, value]), and either `score` with `score.goal` of the file (`max` or
`min`), or `scores` by metric with their goals in `scores` of the file.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from axolotl_sftguide.config.differences import setting_of
from axolotl_sftguide.signals import Observation, Point
from axolotl_sftguide.signals.forecast import LOOKS, EarlierRun, earlier_run

STEPS = 1000
"""Each run has so many steps, and a log where the study has one."""

OWN = Path(__file__).resolve().parent / "grids" / "results"
"""The grids of this repository."""

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
"""Standard deviation of the score between seeds of one setting in studies of others.

Where a study is not named, it is that of its own repeats, if they are enough.
"""

LEAST_REPEATS = 5
"""Fewer degrees of freedom give no standard deviation between seeds."""

HIGHER_IS_BETTER = ("peft_metamath", "sarcasm_e5_datadiffer")
"""Studies whose evaluations are an accuracy or F1; elsewhere they are a loss."""


@dataclass(frozen=True)
class Run:
    """One run of a study."""

    id: str
    score: float
    """Higher is better."""
    observations: tuple[Observation, ...]
    earlier: EarlierRun
    evaluated: EarlierRun
    """The same, with the last evaluation before each look instead of the loss."""


@dataclass(frozen=True)
class Study:
    """Runs of one study with one score."""

    name: str
    runs: tuple[Run, ...]
    own: bool = False
    """Whether it is one of the grids of this repository."""

    @property
    def seed_deviation(self) -> float | None:
        """The standard deviation of the score over repeats; None if it is unknown."""
        return SEEDS.get(self.name) or _deviation(self.runs)


def public_studies(folder: Path) -> list[Study]:
    """The studies of other people in a folder."""
    return [found for path in sorted(folder.glob("*.json")) for found in _read(path)]


def own_studies(kept_aside: str | None = None) -> list[Study]:
    """The open grids of this repository, or only one that was kept aside."""
    found = []
    for path in sorted(OWN.glob("*.json")):
        grid = json.loads(path.read_text())
        closed = grid["kept_aside"] or "kept_aside_until" in grid
        if path.stem == kept_aside if kept_aside else not closed:
            found += [replace(study, own=True) for study in _read(path)]
    return found


def pooled_studies() -> list[Study]:
    """The open grids of one base and data as one study, as `prediction` takes them."""
    grids = {p.stem: json.loads(p.read_text()) for p in sorted(OWN.glob("*.json"))}
    found: dict[tuple[str, str], list[Study]] = defaultdict(list)
    for study in own_studies():
        grid, score = study.name.split(", ")
        found[grids[grid]["setting"]["data"]["digest"], score].append(study)
    return [
        Study(
            " and ".join(s.name.split(", ")[0] for s in studies) + f", {score}",
            tuple(_within(s.name, run) for s in studies for run in s.runs),
            own=True,
        )
        for (_, score), studies in found.items()
        if len(studies) > 1
    ]


def _within(grid: str, run: Run) -> Run:
    """The run, with a setting that no run of another grid has."""
    setting = f"{grid}: {run.earlier.setting}"
    return replace(run, earlier=replace(run.earlier, setting=setting))


def _read(path: Path) -> list[Study]:
    study = json.loads(path.read_text())
    if "score" in study:
        goals, named = {"score": study["score"]["goal"]}, {"score": path.stem}
    else:
        goals = study["scores"]
        named = {name: f"{path.stem}, {name.split('_')[0]}" for name in goals}
    return [
        Study(named[name], tuple(_run(path, run, name, goal) for run in study["runs"]))
        for name, goal in goals.items()
    ]


def _run(path: Path, entry: dict[str, Any], metric: str, goal: str) -> Run:
    logs = [p for p in entry["points"] if p[2] is not None and math.isfinite(p[2])]
    total = entry.get("total") or entry["points"][-1][1]
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
    score = (1 if goal == "max" else -1) * entry.get("scores", entry)[metric]
    setting = setting_of(entry["config"])
    earlier = earlier_run(entry["id"], score, [*points, end], setting)
    values = _evaluations(path.stem, entry, total, logs[-1][0] / shares[-1])
    evaluated = replace(earlier, losses=values)
    return Run(entry["id"], score, tuple(observations), earlier, evaluated)


def _evaluations(
    study: str, entry: dict[str, Any], samples: float, steps: float
) -> tuple[float, ...]:
    """The last evaluation before each look, the lower the better; NaN without one."""
    found = [e for e in entry.get("evals") or () if e[1] is not None]
    last = max((e[0] for e in found), default=0)
    # They are counted in steps or, in some studies, in samples.
    total = samples if last > 1.01 * max(p[0] for p in entry["points"]) else steps
    sign = -1 if study in HIGHER_IS_BETTER else 1
    values = []
    for look in LOOKS:
        before = [e[1] for e in found if 0.005 < e[0] / total <= look + 1e-9]
        values.append(sign * before[-1] if before else math.nan)
    return tuple(values)


def by_setting(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs of each setting."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        found[run.earlier.setting].append(run)
    return list(found.values())


def _deviation(runs: Sequence[Run]) -> float | None:
    squares, freedom = 0.0, 0
    for repeats in by_setting(runs):
        mean = fmean(run.score for run in repeats)
        squares += math.fsum((run.score - mean) ** 2 for run in repeats)
        freedom += len(repeats) - 1
    return math.sqrt(squares / freedom) if freedom >= LEAST_REPEATS else None
