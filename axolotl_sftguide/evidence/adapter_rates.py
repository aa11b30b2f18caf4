"""Learning rate and rank of adapters, judged by a sweep over 35 models.

The table is that of thinking-machines-lab/tinker-cookbook: LoRA on Tulu 3 with 128
samples per step for 780 steps, so about 100,000 rows; test loss in nats per token. Runs
that diverged are missing from it and counted in a second table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .intervals import Estimate, mean, resampled
from .judgements import Judgement, judge

TABLE = "tinker-sft-sweep"
DIVERGED = "tinker-sft-sweep-diverged"
COLUMNS = ("model", "learning_rate", "lora_rank", "test_nll")
DIVERGED_COLUMNS = ("model", "runs", "learning_rates", "ranks")

SETTING = "LoRA on Tulu 3, 128 samples per step, 780 steps"
SMALL = 9.5
"""Models up to this many billions of parameters are small."""
MARGIN = 0.01
"""Nats of test loss that are too few to matter."""

Losses = Mapping[tuple[str, float, int], float]
"""Test loss by model, rate and rank."""


def judge_rates(
    rows: Sequence[Mapping[str, str]], diverged: Sequence[Mapping[str, str]]
) -> list[Judgement]:
    """All judgements from these two tables."""
    losses = _losses(rows)
    found = []
    for name, group in _groups(losses):
        found += [*_costs(group, name), *_ranks(group, name), *_shifts(group, name)]
    return [*found, *_divergences(rows, losses, diverged)]


def base_of(model: str) -> str:
    """The base from which a model was trained on: one cluster of the resampling."""
    name = model.rpartition("/")[2].replace("-VL-", "-")
    if name.startswith("Kimi-K2"):
        return "Kimi-K2"
    return re.sub(r"(-Base|-Instruct|-2507|-BF16)+$", "", name)


def size_of(model: str) -> float:
    """Billions of parameters in a model's name; infinite if it has none."""
    found = re.search(r"(\d+(?:\.\d+)?)B\b", model)
    return float(found[1]) if found else math.inf


def _losses(rows: Sequence[Mapping[str, str]]) -> Losses:
    """The mean loss of each model, rate and rank: a few were run twice."""
    found: dict[tuple[str, float, int], list[float]] = {}
    for row in rows:
        key = (row["model"], float(row["learning_rate"]), int(row["lora_rank"]))
        found.setdefault(key, []).append(float(row["test_nll"]))
    return {key: mean(values) for key, values in found.items()}


def _groups(losses: Losses) -> Iterator[tuple[str, Losses]]:
    for name, small in (("1B to 9B", True), ("20B to 1T", False)):
        kept = {k: v for k, v in losses.items() if (size_of(k[0]) <= SMALL) == small}
        models = {model for model, _, _ in kept}
        yield f"{SETTING}; {len(models)} models of {name}", kept


def _costs(losses: Losses, setting: str) -> Iterable[Judgement]:
    """What each rate costs against the model's best, each at its best rank."""
    best: dict[str, dict[float, float]] = {}
    for (model, rate, _), loss in losses.items():
        rates = best.setdefault(model, {})
        rates[rate] = min(loss, rates.get(rate, math.inf))
    for rate in (1e-4, 3e-4, 1e-3):
        cells = [
            ((base_of(model),), rates[rate] - min(rates.values()))
            for model, rates in best.items()
            if rate in rates
        ]
        yield from _judge(
            resampled(cells, mean),
            "adapter-rate",
            f"test loss at {rate:.0e} above that at the best rate, nats",
            setting,
        )


def _ranks(losses: Losses, setting: str) -> Iterable[Judgement]:
    for lower, higher in ((16, 64), (64, 128)):
        cells = [
            ((base_of(model),), losses[model, rate, lower] - loss)
            for (model, rate, rank), loss in losses.items()
            if rank == higher and rate == 3e-4 and (model, rate, lower) in losses
        ]
        yield from _judge(
            resampled(cells, mean),
            "adapter-rank",
            f"test loss gained by rank {higher} over {lower} at 3e-4, nats",
            setting,
        )


def _shifts(losses: Losses, setting: str) -> Iterable[Judgement]:
    """How far the best rate moves from the lowest rank to the highest."""
    best: dict[tuple[str, int], tuple[float, float]] = {}
    for (model, rate, rank), loss in losses.items():
        best[model, rank] = min((loss, rate), best.get((model, rank), (math.inf, 0)))
    cells = []
    for model in sorted({model for model, _ in best}):
        ranks = [rank for m, rank in best if m == model]
        low, high = (best[model, at(ranks)][1] for at in (min, max))
        if min(ranks) < max(ranks):
            cells.append(((base_of(model),), math.log10(high / low)))
    yield from judge(
        resampled(cells, mean),
        claim="adapter-alpha",
        measure="best rate at the highest rank over that at the lowest, powers of ten",
        setting=setting,
        table=TABLE,
        clusters="base models",
        expects="alike",
        margin=0.3,
        note="0.3 is a factor of two; the rates tried are a factor of three apart",
    )


def _divergences(
    rows: Sequence[Mapping[str, str]],
    losses: Losses,
    diverged: Sequence[Mapping[str, str]],
) -> Iterable[Judgement]:
    """The share of the runs at 3e-3 that diverged."""
    cells = [
        ((base_of(row["model"]),), 0.0)
        for row in rows
        if float(row["learning_rate"]) == 3e-3
    ]
    for row in diverged:
        rates = [float(rate) for rate in row["learning_rates"].split(",")]
        if 3e-3 in rates:
            lower = sum(_missing(losses, row, rate) for rate in rates if rate != 3e-3)
            count = int(row["runs"]) - lower
            cells += [((base_of(row["model"]),), 1.0)] * count
    yield from judge(
        resampled(cells, mean),
        claim="adapter-rate",
        measure="share of the runs at 3e-3 that diverged",
        setting=f"{SETTING}; {len({base for base, _ in cells})} base models",
        table=TABLE,
        clusters="base models",
        expects="above",
        margin=0.5,
    )


def _missing(losses: Losses, row: Mapping[str, str], rate: float) -> int:
    """The number of ranks that diverged at a rate, and are missing from the table."""
    ranks = [int(rank) for rank in row["ranks"].split(",")]
    return sum((row["model"], rate, rank) not in losses for rank in ranks)


def _judge(
    estimate: Estimate | None, claim: str, measure: str, setting: str
) -> list[Judgement]:
    return judge(
        estimate,
        claim=claim,
        measure=measure,
        setting=setting,
        table=TABLE,
        clusters="base models",
        expects="at most",
        margin=MARGIN,
        digits=4,
    )
