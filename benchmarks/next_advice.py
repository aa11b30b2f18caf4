"""Replays `sftguide next` on runs of others: did runs that followed its advice do better?

    python benchmarks/next_advice.py FOLDER [--out FILE.json]

FOLDER holds the public tables of docs/evidence.md and `grids/`. Each run is shown with
what its record holds, alone or beside some other runs of its study, which are drawn at
random. Of each advice that names a setting and a direction, the nearest run that
followed it, and was not shown, is compared with the run itself. Two baselines advise
on the same runs: a random direction, and always the rate of the convention.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from studies import HIGHER_IS_BETTER, SEEDS

from axolotl_sftguide.config.differences import setting_of
from axolotl_sftguide.evidence.intervals import resampled
from axolotl_sftguide.evidence.sft_scores import SCORES, copied_scores
from axolotl_sftguide.guidance import Advice, Other, Record, Result, goal_of, guide

SHOWN = (2, 4, 8)
"""How many other settings of its study are shown with a run."""

DRAWS = 5
SEED = 42

CONVENTION = {"adapter": 2e-4, "full": 2e-5}
"""The usual learning rates, for the baseline."""

RATE, EPOCHS, BATCH = "learning_rate", "num_epochs", "samples per step"
_NAMES = {"lr": RATE, "rank": "lora_r", "wd": "weight_decay", "opt": "optimizer"}


@dataclass(frozen=True)
class Case:
    """One run of a study, with what it is compared with."""

    study: str
    cluster: str
    """What is resampled: a grid, or a base model."""
    record: Record
    unit: float
    """The noise of a score."""

    @property
    def better(self) -> float:
        """The score; higher is better."""
        assert self.record.result is not None
        return self.record.result.better


@dataclass(frozen=True)
class Outcome:
    """An advice that could be followed, and what came of it."""

    by: str
    """The rule, or a baseline."""
    key: str
    cluster: str
    gain: float
    """The score of those that followed it minus that of the run, in units of noise."""


def grids(folder: Path) -> Iterator[list[Case]]:
    """Each grid as a study."""
    for path in sorted((folder / "grids").glob("*.json")):
        grid = json.loads(path.read_text())
        higher = grid["score"]["goal"] == "max"
        scores = [run["score"] for run in grid["runs"]]
        unit = SEEDS.get(path.stem) or pstdev(scores) / 10
        yield [_of_grid(path.stem, run, higher, unit) for run in grid["runs"]]


def _of_grid(study: str, run: dict[str, Any], higher: bool, unit: float) -> Case:
    given = dict(run["config"])
    if study.startswith(("mlperf", "algoperf")):
        given.pop("cfg")  # the machine, or a number of what else is given
    given.pop("trainable", None)
    samples = given.pop("bs", None)
    config = {_NAMES.get(k, k): v for k, v in given.items() if v is not None}
    config["micro_batch_size"] = samples
    logs = [p for p in run["points"] if p[2] is not None]
    evals = [(int(s), float(v)) for s, v in run.get("evals") or () if v is not None]
    adapter = study.startswith(("peft", "mlperf_lora"))
    record = Record(
        config=config,
        training="adapter" if adapter else "full",
        # Not fine-tuned ones: the evidence is not about them.
        parameters=None if adapter else 100_000_000,
        samples=samples,
        step=logs[-1][0],
        max_steps=logs[-1][0],
        losses=tuple((p[0], p[2]) for p in logs),
        evaluations=() if study in HIGHER_IS_BETTER else tuple(evals),
        setting=setting_of(config),
        result=Result("score", run["score"], higher),
        device="cpu",
    )
    return Case(study, study, record, unit)


def tinker(folder: Path) -> Iterator[list[Case]]:
    """Each base model as a study: LoRA at five or so rates and several ranks."""
    by_model = defaultdict(list)
    with (folder / "tinker-sft-sweep.csv").open() as file:
        for row in csv.DictReader(file):
            by_model[row["model"]].append(row)
    for model, rows in by_model.items():
        cases = []
        for row in rows:
            config = {
                RATE: float(row["learning_rate"]),
                "lora_r": int(row["lora_rank"]),
                "adapter": "lora",
            }
            record = Record(
                config=config,
                training="adapter",
                samples=128,
                rows=100_000,
                step=780,
                max_steps=780,
                setting=setting_of(config),
                result=Result("test_nll", float(row["test_nll"]), False),
            )
            cases.append(Case(f"tinker: {model}", model, record, 0.0))
        unit = _scatter(cases)
        yield [replace(case, unit=unit) for case in cases]


def _scatter(cases: Sequence[Case]) -> float:
    """The noise where nothing is repeated: differences of neighbouring ranks."""
    by_rate = defaultdict(list)
    for case in cases:
        by_rate[case.record.rate].append((case.record.config["lora_r"], case.better))
    steps = []
    for values in by_rate.values():
        ordered = [score for _, score in sorted(values)]
        steps += [b - a for a, b in zip(ordered, ordered[1:], strict=False)]
    steps = sorted(map(abs, steps))
    return 1.4826 * steps[len(steps) // 2] / math.sqrt(2) if steps else 1e-3


def massive(folder: Path) -> Iterator[list[Case]]:
    """Each base, data set, size, schedule and score as a study: epochs differ."""
    with (folder / "massive-sft.csv").open() as file:
        rows = list(csv.DictReader(file))
    copied = copied_scores(rows)
    studies: dict[tuple[str, ...], list[Case]] = defaultdict(list)
    columns = ("model_name", "data_name", "data_size", "lora", "lr_strategy")
    for i, row in enumerate(rows):
        for score in SCORES:
            text = row[score.column]
            if not text or (i, score.column) in copied:
                continue
            key = (*(row[c] for c in columns), score.column)
            config = {EPOCHS: float(row["epoch"]), "lr_scheduler": row["lr_strategy"]}
            record = Record(
                config=config,
                training="adapter" if row["lora"] == "true" else "full",
                rows=int(float(row["data_size"])),
                step=100,
                max_steps=100,
                epochs=float(row["epoch"]),
                setting=setting_of(config),
                result=Result(score.column, float(text), True),
                goal=_goal(score.column),
            )
            cluster = row["data_name"] or "mixed"
            studies[key].append(
                Case(f"massive: {score.column}", cluster, record, score.margin)
            )
    yield from (cases for cases in studies.values() if len(cases) > 1)


def _goal(column: str) -> Any:
    return goal_of(column.replace("mtbench", "mt_bench"))


def outcomes(
    cases: Sequence[Case], draw: random.Random, shown: int
) -> Iterator[Outcome]:
    """What came of the advice on each run of a study.

    Args:
        cases: The runs of the study.
        draw: Draws the runs that are shown.
        shown: How many other settings are shown.
    """
    settings = sorted({case.record.setting for case in cases})
    for case in cases:
        for _ in range(DRAWS if shown else 1):
            rest = [s for s in settings if s != case.record.setting]
            drawn = set(draw.sample(rest, min(shown, len(rest))))
            seen = [
                c
                for c in cases
                if c is not case and c.record.setting in {*drawn, case.record.setting}
            ]
            # Of repeats, one stays unseen, so that each setting can be followed.
            seen = _without_one_repeat(seen, draw) if shown else []
            unseen = [c for c in cases if c is not case and c not in seen]
            record = replace(case.record, others=tuple(map(_other, seen)))
            for advice in guide(record).advice:
                gain = _followed(case, advice, unseen)
                if gain is not None:
                    yield Outcome(advice.rule, advice.key, case.cluster, gain)


def _other(case: Case) -> Other:
    record = case.record
    assert record.result is not None
    return Other("a run", record.setting, record.config, record.result, record.samples)


def _without_one_repeat(seen: Sequence[Case], draw: random.Random) -> list[Case]:
    by_setting = defaultdict(list)
    for case in seen:
        by_setting[case.record.setting].append(case)
    kept = []
    for repeats in by_setting.values():
        if len(repeats) > 1:
            repeats = draw.sample(repeats, len(repeats) - 1)
        kept += repeats
    return kept


def _followed(case: Case, advice: Advice, unseen: Sequence[Case]) -> float | None:
    """The gain of the nearest unseen run that did as it was advised."""
    if advice.rule == "best-run":
        took = [c for c in unseen if _has(c, dict(advice.edits))]
    else:
        took = _in_direction(case, advice.key, advice.direction, advice.to, unseen)
    if not took:
        return None
    return (fmean(c.better for c in took) - case.better) / case.unit


def _has(case: Case, edits: dict[str, Any]) -> bool:
    return all(case.record.config.get(key) == value for key, value in edits.items())


def _in_direction(
    case: Case, key: str, direction: str, to: Any, unseen: Sequence[Case]
) -> list[Case]:
    """The unseen runs at the value nearest to the advised one, all else equal."""
    mine = _value(case, key)
    if not direction or mine is None:
        return []
    found: dict[float, list[Case]] = defaultdict(list)
    for other in unseen:
        theirs = _value(other, key)
        if (
            theirs is None
            or theirs == mine
            or (theirs > mine) != (direction == "higher")
        ):
            continue
        if _rest(case, key) == _rest(other, key):
            found[theirs].append(other)
    goal = math.log(to) if to else math.log(mine)
    nearest = min(found, key=lambda value: abs(math.log(value) - goal), default=None)
    return [] if nearest is None else found[nearest]


def _value(case: Case, key: str) -> float | None:
    if key == BATCH:
        return case.record.samples
    value = case.record.config.get(key)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _rest(case: Case, key: str) -> str:
    left = {"seed", key} | ({"micro_batch_size"} if key == BATCH else set())
    return repr(
        sorted((k, str(v)) for k, v in case.record.config.items() if k not in left)
    )


def baselines(cases: Sequence[Case], key: str) -> Iterator[Outcome]:
    """A random direction, and the convention's rate, on each run of a study."""
    for case in cases:
        others = [c for c in cases if c is not case]
        for direction in ("higher", "lower"):
            took = _in_direction(case, key, direction, None, others)
            if took:
                gain = (fmean(c.better for c in took) - case.better) / case.unit
                yield Outcome("at random", key, case.cluster, gain)
        to, mine = CONVENTION[case.record.training], case.record.rate
        known = case.record.parameters is None
        if key == RATE and known and mine and abs(math.log(mine / to)) > 0.2:
            direction = "higher" if mine < to else "lower"
            took = _in_direction(case, key, direction, to, others)
            if took:
                gain = (fmean(c.better for c in took) - case.better) / case.unit
                yield Outcome("the convention's rate", key, case.cluster, gain)


def summary(found: Sequence[Outcome]) -> dict[str, Any]:
    """Share better and mean gain, each with an interval that resamples clusters."""
    gains = [outcome.gain for outcome in found]
    cells = [((o.cluster,), o.gain) for o in found]
    answer: dict[str, Any] = {
        "advice": len(gains),
        "clusters": len({o.cluster for o in found}),
        "better": fmean(gain > 0 for gain in gains),
        "gain": fmean(gains),
    }
    for name, statistic in (("better", _share_better), ("gain", fmean)):
        estimate = resampled(cells, statistic)
        answer[f"{name}_interval"] = estimate and [estimate.low, estimate.high]
    return answer


def _share_better(gains: Sequence[float]) -> float:
    return fmean(gain > 0 for gain in gains)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    written = {}
    for name, read in (("grids", grids), ("tinker", tinker), ("massive", massive)):
        written[name] = _report(name, list(read(given.folder)))
    if given.out:
        given.out.write_text(json.dumps(written, indent=1) + "\n")


def _report(name: str, studies: Sequence[Sequence[Case]]) -> dict[str, Any]:
    runs = sum(map(len, studies))
    clusters = sorted({case.cluster for cases in studies for case in cases})
    halves = {c: "AB"[i % 2] for i, c in enumerate(clusters)}
    print(f"\n{name}: {runs} runs in {len(studies)} studies")
    answer: dict[str, Any] = {"runs": runs, "studies": len(studies)}
    for shown in (0, *SHOWN):
        draw = random.Random(SEED)
        found = [o for cases in studies for o in outcomes(cases, draw, shown)]
        groups = defaultdict(list)
        for outcome in found:
            groups[f"{outcome.by}, {outcome.key}"].append(outcome)
        answer[f"shown {shown}"] = _print(f"{shown} shown", groups, halves)
    keys = [key for key in (RATE, EPOCHS, BATCH, "lora_r")]
    groups = defaultdict(list)
    for cases in studies:
        for key in keys:
            for outcome in baselines(cases, key):
                groups[f"{outcome.by}, {outcome.key}"].append(outcome)
    answer["baselines"] = _print("baselines", groups, halves)
    return answer


def _print(
    title: str, groups: dict[str, list[Outcome]], halves: dict[str, str]
) -> dict[str, Any]:
    answer = {}
    for name, found in sorted(groups.items()):
        answer[name] = {"all": summary(found)}
        for half in "AB":
            own = [o for o in found if halves[o.cluster] == half]
            if own:
                answer[name][half] = summary(own)
        for half, s in answer[name].items():
            print(
                f"  {title:<10} {name:<38} {half:<3} n {s['advice']:>5} "
                f"in {s['clusters']:>2}: better {s['better']:.0%} "
                f"{_interval(s['better_interval'], '.0%')}, gain {s['gain']:+.2f} "
                f"{_interval(s['gain_interval'], '+.2f')}"
            )
    return answer


def _interval(ends: Sequence[float] | None, form: str) -> str:
    return "" if ends is None else f"({ends[0]:{form}} to {ends[1]:{form}})"


if __name__ == "__main__":
    main()
