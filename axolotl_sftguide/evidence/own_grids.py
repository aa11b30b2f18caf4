"""The paper's claims judged by this project's own grids, in `benchmarks/grids`.

A Llama of 5.2M parameters that knows kinds of nouns is fine-tuned on verbs' kinds and
parts of speech. Each run has a score of what it was taught and one of what it retained.
Repeats of a setting with other seeds are one cluster.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from .intervals import Estimate, mean, rank_correlation, resampled
from .judgements import Expectation, Judgement, judge

SCORES = {"taught_exact_match": "taught", "retained_first_token": "retained"}
SETTINGS = {
    "batch-rate": "full fine-tuning, batch 8 to 64, rate 1e-4 to 3e-2",
    "lora": "LoRA of rank 16, batch 8 to 64, rate 3e-4 to 1e-2",
    "phases": "full fine-tuning in two phases, rate 1e-4 and 3e-4",
    "schedule": "rates of 1e-4 to 1e-3, with and without warmup and decay, batch 16",
}
_AT, _WINDOW = 0.25, 0.1
_LOSS, _NORM = 2, 3
_TOO_SMALL = 0.02
"""A difference of scores that does not matter; the standard error of one is 0.025."""

Run = Mapping[str, Any]
Row = tuple[float, ...]


def judge_grids(grids: Mapping[str, Mapping[str, Any]]) -> list[Judgement]:
    """All judgements that the grids allow."""
    found: list[Judgement] = []
    for name in ("batch-rate", "lora"):
        if name in grids:
            found += _batches_and_rates(name, grids[name]["runs"])
    for name in ("batch-rate", "lora", "schedule"):
        if name in grids:
            found += _early_signals(name, grids[name]["runs"])
    if "schedule" in grids:
        found += _schedules(grids["schedule"]["runs"])
    if "phases" in grids:
        found += _phases(grids["phases"]["runs"])
    return found


def _batches_and_rates(name: str, runs: Sequence[Run]) -> list[Judgement]:
    found = []
    for metric, short in SCORES.items():
        rows = [
            (
                setting,
                (
                    float(run["samples_per_step"]),
                    run["scores"][metric],
                    run["config"]["learning_rate"],
                ),
            )
            for setting, run in zip(_settings(runs), runs, strict=True)
        ]
        batch = resampled(rows, _partial)
        swapped = [(key, (rate, score, size)) for key, (size, score, rate) in rows]
        rate = resampled(swapped, _partial)
        said = f"rank correlation of {{}} with the {short} score"
        found += _judged(
            "large-batch",
            name,
            said.format("the batch, at equal rate,"),
            batch,
            "above",
            note="of 8 to 64 samples, not of thousands",
        )
        found += _judged(
            "low-rate", name, said.format("the rate, at equal batch,"), rate, "below"
        )
    return found


def _early_signals(name: str, runs: Sequence[Run]) -> list[Judgement]:
    found = []
    for metric, short in SCORES.items():
        for word, column, expects in (
            ("loss", _LOSS, "above"),
            ("gradient norm", _NORM, "below"),
        ):
            rows = [
                (setting, (_early(run, column), run["scores"][metric]))
                for setting, run in zip(_settings(runs), runs, strict=True)
            ]
            found += _judged(
                "low-norm-high-loss",
                name,
                f"rank correlation of the {word} at 25% with the {short} score",
                resampled(rows, _correlation),
                expects,  # type: ignore[arg-type]
            )
    return found


def _phases(runs: Sequence[Run]) -> list[Judgement]:
    found = []
    for metric, short in SCORES.items():
        found += _judged(
            "stacked",
            "phases",
            f"{short} score, stacked minus phased",
            _paired(
                runs, metric, "sftguide.mix.strategy", "stacked", "phased", seeds=True
            ),
            "no worse",
            clusters="pairs of one rate and seed",
        )
    return found


def _schedules(runs: Sequence[Run]) -> list[Judgement]:
    found = []
    warmups = sorted({run["config"]["warmup_steps"] for run in runs})
    for metric, short in SCORES.items():
        found += _judged(
            "no-warmup",
            "schedule",
            f"{short} score, without warmup minus {warmups[-1]} steps of it",
            _paired(runs, metric, "warmup_steps", warmups[0], warmups[-1]),
            "no worse",
            clusters="pairs of settings",
        )
        found += _judged(
            "constant-rate",
            "schedule",
            f"{short} score, constant rate minus cosine decay",
            _paired(runs, metric, "lr_scheduler", "constant_with_warmup", "cosine"),
            "no worse",
            clusters="pairs of settings",
        )
    return found


def _paired(
    runs: Sequence[Run],
    metric: str,
    key: str,
    one: Any,
    other: Any,
    *,
    seeds: bool = False,
) -> Estimate | None:
    """The mean difference between runs that differ in one key.

    Args:
        runs: The runs.
        metric: Their score.
        key: The key.
        one: A value of it.
        other: The value that is subtracted.
        seeds: Resample pairs of runs, where there are too few pairs of settings.
    """
    sides: dict[Any, dict[tuple[str, int], float]] = {one: {}, other: {}}
    for run in runs:
        # The mix of a phase has a seed of its own, which goes with the run's.
        rest = {
            k: v
            for k, v in run["config"].items()
            if k not in (key, "seed") and not k.startswith("sftguide.mix.")
        }
        pair = json.dumps(rest, sort_keys=True), run["config"]["seed"]
        sides[run["config"][key]][pair] = run["scores"][metric]
    rows = [
        ((str(pair) if seeds else pair[0],), sides[one][pair] - sides[other][pair])
        for pair in sorted(sides[one].keys() & sides[other].keys())
    ]
    return resampled(rows, mean) if rows else None


def _judged(
    claim: str,
    name: str,
    measure: str,
    estimate: Estimate | None,
    expects: Expectation,
    clusters: str = "settings",
    note: str = "",
) -> list[Judgement]:
    return judge(
        estimate,
        claim=claim,
        measure=measure,
        setting=SETTINGS[name],
        table=f"grids/{name}",
        clusters=clusters,
        expects=expects,
        margin=_TOO_SMALL if expects == "no worse" else 0.0,
        note=note,
        digits=3 if expects == "no worse" else 2,
    )


def _settings(runs: Sequence[Run]) -> list[tuple[str]]:
    """The setting of each run, numbered: what it shares with its other seeds."""
    texts = [
        json.dumps(
            {k: v for k, v in run["config"].items() if not k.endswith("seed")},
            sort_keys=True,
        )
        for run in runs
    ]
    numbers = {text: str(i) for i, text in enumerate(dict.fromkeys(texts))}
    return [(numbers[text],) for text in texts]


def _early(run: Run, column: int) -> float:
    """The mean over the tenth of the run that ends at a quarter of its samples.

    What is not finite counts as larger than any other.
    """
    points = run["points"]
    end = _AT * points[-1][1] * 1.0001
    start = (_AT - _WINDOW) * points[-1][1]
    inside = [p for p in points if start < p[1] <= end] or points[:1]
    values = [math.inf if p[column] is None else p[column] for p in inside]
    return fmean(values)


def _correlation(rows: Sequence[Row]) -> float:
    return rank_correlation([(row[0], row[1]) for row in rows])


def _partial(rows: Sequence[Row]) -> float:
    """The rank correlation of the first two values, with the third held equal."""

    def of(one: int, other: int) -> float:
        return rank_correlation([(row[one], row[other]) for row in rows])

    ab, ac, bc = of(0, 1), of(0, 2), of(1, 2)
    left = (1 - ac**2) * (1 - bc**2)
    if left < 1e-9:
        raise ValueError("nothing varies beside what is held equal")
    return (ab - ac * bc) / math.sqrt(left)
