"""Runs of others as studies, for the replay of `sftguide next`."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import pstdev
from typing import Any

from studies import HIGHER_IS_BETTER, OWN, SEEDS

from axolotl_sftguide.config.differences import setting_of
from axolotl_sftguide.evidence.sft_scores import SCORES, copied_scores
from axolotl_sftguide.guidance import Record, Result, goal_of

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
    lora = study.startswith("mlperf_lora") or given.get("method") == "LORA"
    tuned = lora or given.get("method") == "FULL"
    record = Record(
        config=config,
        # No claim is about other methods, nor about training from scratch.
        training="adapter" if lora else "full" if tuned else "",
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
        steps += [b - a for a, b in pairwise(ordered)]
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


def own(_: Path) -> Iterator[list[Case]]:
    """The grids of this repository, a study for each of their two scores."""
    examples = {"taught_exact_match": 200, "retained_first_token": 400}
    base = {"taught_exact_match": 0.0, "retained_first_token": 0.6175}
    for path in sorted(OWN.glob("*.json")):
        grid = json.loads(path.read_text())
        for metric in grid["scores"]:
            cases = []
            for run in grid["runs"]:
                config = {"lr_scheduler": "constant", **run["config"]}
                score = run["scores"][metric]
                result = Result(metric, score, True, examples[metric], base[metric])
                record = Record(
                    config=config,
                    training="adapter" if path.stem == "lora" else "full",
                    parameters=5_212_416,
                    rows=2048,
                    samples=run["samples_per_step"],
                    step=run["points"][-1][0],
                    max_steps=run["points"][-1][0],
                    losses=tuple((p[0], p[2]) for p in run["points"]),
                    setting=setting_of(config),
                    result=result,
                )
                cases.append(Case(path.stem, f"{path.stem}, {metric}", record, 0.025))
            yield cases
