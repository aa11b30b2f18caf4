"""Early loss, batch and rate, judged by grids of runs with their loss curves.

PEFT's method comparison (adapters on MetaMathQA, scored on GSM8K) and the logs of
MLPerf Training v5.0 and v5.1 (LoRA of Llama 2 70B on GovReport; Llama 3.1 8B from
scratch on C4), as tables with one entry per run: `config`, `score` and `points`, each
of which starts with step, samples and loss. PEFT's runs may have `forgetting`, the rise
of the loss on Wikipedia over the training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from .intervals import difference, mean, rank_correlation, resampled
from .judgements import Judgement, judge

PEFT = "peft_metamath"
LORA_V50, LORA_V51 = "mlperf_lora_v50", "mlperf_lora_v51"
SCRATCH = "mlperf_llama31_8b_v51"
COLUMNS = ("config", "score", "points")

SHARE = 0.25
"""The share of a run after which its loss is read."""
WINDOW = 0.08
"""The share of a run over which the loss is averaged."""
SAME_SCALE = 1.3
"""Losses that start further apart than this ratio are logged on different scales."""
MARGIN = 0.01

Run = Mapping[str, Any]

_PEFT_SETTING = "PEFT methods on MetaMathQA, Llama 3.2 3B, batch 4"
_LORA_SETTING = "LoRA of Llama 2 70B on GovReport"
_SCRATCH_SETTING = "Llama 3.1 8B from scratch on C4"


def judge_early_loss(runs: Sequence[Run], table: str) -> list[Judgement]:
    """Whether runs with a higher early loss end better, as `low-norm-high-loss` says.

    Args:
        runs: The runs of one grid.
        table: Its name; it tells whether a high score is good.
    """
    setting, clusters, sign = {
        PEFT: (_PEFT_SETTING, "methods", 1),
        LORA_V50: (f"{_LORA_SETTING}, MLPerf v5.0", "submitters", -1),
        LORA_V51: (f"{_LORA_SETTING}, MLPerf v5.1", "submitters", -1),
        SCRATCH: (_SCRATCH_SETTING, "submitters", -1),
    }[table]
    kept = [run for run in _same_scale(runs, table) if early_loss(run) is not None]
    name = "GSM8K" if table == PEFT else "evaluation loss, sign changed"
    scores = [("score", sign, name)]
    if all("forgetting" in run for run in runs):
        scores += [("forgetting", -1, "rise of the loss on Wikipedia, sign changed")]
    found = []
    for key, direction, name in scores:
        cells = [
            (
                (_cluster(run, table),),
                (early_loss(run) or 0.0, direction * float(run[key])),
            )
            for run in kept
        ]
        found += judge(
            resampled(cells, rank_correlation),
            claim="low-norm-high-loss",
            measure=f"rank correlation of the loss at {SHARE:.0%} with {name}",
            setting=setting,
            table=table,
            clusters=clusters,
            expects="above",
            note=_left_out(len(runs) - len(kept)),
        )
    return found


def judge_batch(runs: Sequence[Run], table: str) -> list[Judgement]:
    """Whether a smaller batch is as good at equal samples, as `small-batch` says."""
    small: dict[str, list[float]] = {}
    large: dict[str, list[float]] = {}
    for run in runs:
        side = small if run["config"]["bs"] <= 16 else large
        side.setdefault(_cluster(run, table), []).append(float(run["score"]))
    cells = [
        ((name,), fmean(large[name]) - fmean(small[name]))
        for name in sorted(small.keys() & large.keys())
    ]
    return judge(
        resampled(cells, mean),
        claim="small-batch",
        measure="evaluation loss at 147,456 samples, batch 32 or 36 minus batch 16",
        setting=f"{_SCRATCH_SETTING}, each submitter's own rates",
        table=table,
        clusters="submitters",
        expects="no worse",
        margin=MARGIN,
        note="from scratch, not fine-tuning",
        digits=3,
    )


def judge_adapter_rates(runs: Sequence[Run]) -> list[Judgement]:
    """Whether rates within the range of `adapter-rate` score alike at a batch of 8."""
    low: dict[str, list[float]] = {}
    middle: dict[str, list[float]] = {}
    high: list[float] = []
    for run in runs:
        if run["config"]["bs"] != 8:
            continue
        rate, score = float(run["config"]["lr"]), float(run["score"])
        if rate > 5.5e-4:
            high.append(score)
            continue
        side = low if rate <= 4.5e-4 else middle
        side.setdefault(_cluster(run, LORA_V50), []).append(score)
    note = ""
    if high:
        note = (
            f"{len(high)} runs at 6e-4 by too few submitters to judge: "
            f"{fmean(high):.3f}, against "
            f"{fmean([fmean(scores) for scores in middle.values()]):.3f}"
        )
    return judge(
        difference(low, middle),
        claim="adapter-rate",
        measure="evaluation loss, rates to 4.5e-4 minus rates of 5e-4 and 5.5e-4",
        setting=f"{_LORA_SETTING}, 8 samples per step, MLPerf v5.0 and v5.1",
        table=f"{LORA_V50}, {LORA_V51}",
        clusters="submitters",
        expects="alike",
        margin=MARGIN,
        note=note,
        digits=4,
    )


def early_loss(run: Run) -> float | None:
    """The mean loss just before a quarter of the run; None if none was logged."""
    points = run["points"]
    if not points:
        return None
    whole = run.get("total") or points[-1][1]
    near = [
        point[2]
        for point in points
        if (SHARE - WINDOW) * whole < point[1] <= SHARE * whole
    ]
    return fmean(near) if near else None


def _same_scale(runs: Sequence[Run], table: str) -> list[Run]:
    """Runs whose losses start alike: some MLPerf submitters log another sum."""
    if table == PEFT:
        return list(runs)
    logged = [run for run in runs if run["points"]]
    middle = median(run["points"][0][2] for run in logged)
    return [
        run
        for run in logged
        if 1 / SAME_SCALE < run["points"][0][2] / middle < SAME_SCALE
    ]


def _left_out(count: int) -> str:
    if not count:
        return ""
    runs = "1 run" if count == 1 else f"{count} runs"
    return f"without {runs} whose loss is not logged, or on another scale"


def _cluster(run: Run, table: str) -> str:
    """The method, or the submitter."""
    config = run["config"]
    if table == PEFT:
        return str(config["method"])
    return str(config["cfg"]).partition("/")[0]
