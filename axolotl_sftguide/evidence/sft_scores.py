"""Epochs, schedules and adapters, judged by the scores of 1,016 fine-tunes.

The table is that of arXiv 2506.14681 (llm-jp/massive-sft): base models of 7B to 9B,
each score one run without a repeat. Runs differ in one thing only and are compared in
pairs of the same base and data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .intervals import mean, resampled
from .judgements import Expectation, Judgement, judge

TABLE = "massive-sft"

COLUMNS = ("model_name", "data_name", "lora", "epoch", "data_size", "lr_strategy")


@dataclass(frozen=True, slots=True)
class Score:
    """A score, and the difference that is too small to matter."""

    name: str
    column: str
    chat: bool
    margin: float
    unit: str = "points"


SCORES = (
    Score("MT-Bench", "mtbench-total", True, 0.1),
    Score("AlpacaEval 2", "alpaca_eval_v2-total", True, 0.5),
    Score("GSM8K, 4 shots", "gsm8k-4shot", False, 1),
    Score("GSM8K, 0 shots", "gsm8k-0shot", False, 1),
    Score("MBPP, 4 shots", "mbpp_4shot", False, 1),
    Score("MMLU, 5 shots", "mmlu-5shot", False, 1),
    Score("MMLU, 0 shots", "mmlu-0shot", False, 1),
)

_FAMILIES = {
    "Meta-Llama-3-8B": "Llama 3",
    "Llama-3-Swallow-8B-v0.1": "Llama 3",
    "llama-3-chinese-8b": "Llama 3",
    "Mistral-7B-v0.1": "Mistral",
    "Chinese-Mistral-7B-v0.1": "Mistral",
}
"""Bases that were trained on from one base are one cluster."""

_MEASURED_TOGETHER = (
    ("gsm8k-0shot", "mmlu-0shot", "BoolQ-0shot", "hellaswag-0shot", "nq-0shot"),
    ("gsm8k-4shot", "mmlu-5shot", "mbpp_4shot", "BoolQ-5shot", "hellaswag-10shot"),
)

Run = Mapping[str, str]
Key = tuple[str, str]
"""Base model and data set."""


def judge_scores(rows: Sequence[Run]) -> list[Judgement]:
    """All judgements from this table."""
    copied = copied_scores(rows)
    kept = [
        {column: "" if (i, column) in copied else v for column, v in row.items()}
        for i, row in enumerate(rows)
    ]
    return [*_epochs(kept), *_schedules(kept), *_adapters(kept)]


def copied_scores(rows: Sequence[Run]) -> set[tuple[int, str]]:
    """Scores, by row and column, that are exactly those of another row.

    Five scores of two trainings do not agree to the last digit by chance: one row is a
    copy of the other. Which one is unknown, so neither is used.
    """
    found: set[tuple[int, str]] = set()
    for columns in _MEASURED_TOGETHER:
        values = [tuple(row.get(c, "") for c in columns) for row in rows]
        times = Counter(v for v in values if all(v))
        for i, row_values in enumerate(values):
            if times[row_values] > 1:
                found |= {(i, column) for column in columns}
    return found


def _epochs(rows: Sequence[Run]) -> Iterable[Judgement]:
    mix = "10,000 rows of ten data sets mixed, cosine decay"
    settings = (
        ("false", "constant", 20_000, "full fine-tuning, 20,000 rows, constant rate"),
        ("false", "constant", 1_000, "full fine-tuning, 1,000 rows, constant rate"),
        ("false", "cosine", 10_000, f"full fine-tuning, {mix}"),
        ("true", "cosine", 10_000, f"LoRA, {mix}"),
    )
    for lora, schedule, size, setting in settings:
        picked = _pick(rows, lora=lora, lr_strategy=schedule, data_size=size)
        for score in SCORES:
            yield from _compare(
                _values(picked, score, epoch=10),
                _values(picked, score, epoch=2),
                "two-epochs",
                score,
                "epoch 10 minus epoch 2",
                setting,
                "below",
                by_data=schedule == "constant",
            )


def _schedules(rows: Sequence[Run]) -> Iterable[Judgement]:
    setting = "full fine-tuning, 1,000 rows, 10 epochs"
    picked = _pick(rows, lora="false", data_size=1_000, epoch=10)
    for score in SCORES:
        constant = _values(_pick(picked, lr_strategy="constant"), score)
        cosine = _values(_pick(picked, lr_strategy="cosine"), score)
        for claim, one, other, words, expects in (
            ("constant-rate", constant, cosine, "constant minus cosine", "no worse"),
            ("cosine-rate", cosine, constant, "cosine minus constant", "above"),
        ):
            yield from _compare(
                one,
                other,
                claim,
                score,
                words,
                setting,
                expects,  # type: ignore[arg-type]
                by_data=True,
            )


def _adapters(rows: Sequence[Run]) -> Iterable[Judgement]:
    for size, data in ((1_000, "1,000 rows of one data set"), (10_000, "10,000 rows")):
        picked = _pick(rows, data_size=size, epoch=10, lr_strategy="cosine")
        setting = f"{data}, 10 epochs, cosine decay, one rate for each method"
        for score in SCORES:
            yield from _compare(
                _values(_pick(picked, lora="true"), score),
                _values(_pick(picked, lora="false"), score),
                "adapter-forgets-less",
                score,
                "LoRA minus full fine-tuning",
                setting,
                "below" if score.chat else "above",
                by_data=False,
                crossed=size == 1_000,
            )


def _compare(
    one: Mapping[Key, float],
    other: Mapping[Key, float],
    claim: str,
    score: Score,
    words: str,
    setting: str,
    expects: Expectation,
    *,
    by_data: bool,
    crossed: bool = False,
) -> list[Judgement]:
    """Judge the difference of two groups of runs in pairs of the same base and data.

    Three bases are too few to resample: with `by_data` data sets are resampled, and the
    verdict is for those bases. With `crossed` families of bases and data sets are.
    """
    pairs = sorted(one.keys() & other.keys())
    bases = sorted({base for base, _ in pairs})
    cells = []
    for base, data in pairs:
        family = _FAMILIES.get(base, base)
        key = (data,) if by_data else (family, data) if crossed else (family,)
        cells.append((key, one[base, data] - other[base, data]))
    agree = sum(
        mean([d for (b, _), (_, d) in zip(pairs, cells, strict=True) if b == base]) > 0
        for base in bases
    )
    clusters = "data sets" if by_data else "families of bases"
    return judge(
        resampled(cells, mean),
        claim=claim,
        measure=f"{score.name}: {words}",
        setting=f"{setting}; {', '.join(bases) if by_data else f'{len(bases)} bases'}",
        table=TABLE,
        clusters=f"{clusters}, and data sets" if crossed else clusters,
        expects=expects,
        margin=score.margin if expects == "no worse" else 0.0,
        note=f"above 0 in {agree} of {len(bases)} bases",
    )


def _pick(rows: Sequence[Run], **wanted: str | int) -> list[Run]:
    """The rows in which columns have the wanted values."""
    return [
        row
        for row in rows
        if all(_same(row.get(column, ""), value) for column, value in wanted.items())
    ]


def _same(text: str, value: str | int) -> bool:
    if isinstance(value, str):
        return text == value
    try:
        return float(text) == value
    except ValueError:
        return False


def _values(rows: Sequence[Run], score: Score, **wanted: str | int) -> dict[Key, float]:
    """A score by base model and data set, where it was measured."""
    found = {}
    for row in _pick(rows, **wanted):
        try:
            value = float(row.get(score.column, ""))
        except ValueError:
            continue
        found[row["model_name"], row["data_name"]] = value
    return found
