"""All judgements that public tables allow, and the tables' addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import adapter_rates, loss_curves, sft_scores
from .judgements import Judgement

GITHUB = "https://github.com"


@dataclass(frozen=True, slots=True)
class Table:
    """A file that the replay reads, and where its content is published."""

    file: str
    """Its name in the folder."""
    columns: tuple[str, ...]
    """What each row, or each run of a grid, must have."""
    repository: str
    commit: str
    path: str
    """The file or folder in the repository."""
    content: str

    @property
    def address(self) -> str:
        """The web address of the published content, at its commit."""
        kind = "blob" if "." in self.path.rpartition("/")[2] else "tree"
        place = f"{self.repository}/{kind}/{self.commit}/{self.path}"
        return f"{GITHUB}/{place.rstrip('/')}"


_TINKER = (
    "thinking-machines-lab/tinker-cookbook",
    "9dfcc3a2cf44432d621a01005073dc6d76a1e87a",
    "tinker_cookbook/recipes/chat_sl/results/sft_sweep.md",
)
_V50 = (
    "mlcommons/training_results_v5.0",
    "0fdc28f013256aea84fa36fdaf1e0fa46094b18c",
    "",
)
_V51 = (
    "mlcommons/training_results_v5.1",
    "441d65f4445cd59687466533fd9f55399136e7a4",
    "",
)

TABLES = {
    sft_scores.TABLE: Table(
        "massive-sft.csv",
        (*sft_scores.COLUMNS, *(score.column for score in sft_scores.SCORES)),
        "llm-jp/massive-sft",
        "ca323da5676c4197782a7f2ba7c9a123b4c47c29",
        "evaluation_result.csv",
        "the file under another name",
    ),
    adapter_rates.TABLE: Table(
        "tinker-sft-sweep.csv",
        adapter_rates.COLUMNS,
        *_TINKER,
        "the tables of all models",
    ),
    adapter_rates.DIVERGED: Table(
        "tinker-sft-sweep-diverged.csv",
        adapter_rates.DIVERGED_COLUMNS,
        *_TINKER,
        "the notes on runs that diverged",
    ),
    loss_curves.PEFT: Table(
        "grids/peft_metamath.json",
        loss_curves.COLUMNS,
        "huggingface/peft",
        "5d602fdbff04c33c1c4de55cda9d4ae1d7cb7e40",
        "method_comparison/MetaMathQA/results",
        "one run per file",
    ),
    loss_curves.LORA_V50: Table(
        "grids/mlperf_lora_v50.json",
        loss_curves.COLUMNS,
        *_V50,
        "logs of llama2_70b_lora",
    ),
    loss_curves.LORA_V51: Table(
        "grids/mlperf_lora_v51.json",
        loss_curves.COLUMNS,
        *_V51,
        "logs of llama2_70b_lora",
    ),
    loss_curves.SCRATCH: Table(
        "grids/mlperf_llama31_8b_v51.json",
        loss_curves.COLUMNS,
        *_V51,
        "logs of llama31_8b",
    ),
}
"""By the key that judgements name."""

Rows = list[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """Judgements that need the same tables."""

    claims: tuple[str, ...]
    tables: tuple[str, ...]
    judge: Callable[[Mapping[str, Rows]], list[Judgement]]


def _early_loss(table: str) -> Question:
    return Question(
        ("low-norm-high-loss",),
        (table,),
        lambda tables: loss_curves.judge_early_loss(tables[table], table),
    )


QUESTIONS = (
    Question(
        ("two-epochs", "constant-rate", "cosine-rate", "adapter-forgets-less"),
        (sft_scores.TABLE,),
        lambda tables: sft_scores.judge_scores(tables[sft_scores.TABLE]),
    ),
    Question(
        ("adapter-rate", "adapter-rank", "adapter-alpha"),
        (adapter_rates.TABLE, adapter_rates.DIVERGED),
        lambda tables: adapter_rates.judge_rates(
            tables[adapter_rates.TABLE], tables[adapter_rates.DIVERGED]
        ),
    ),
    Question(
        ("adapter-rate",),
        (loss_curves.LORA_V50, loss_curves.LORA_V51),
        lambda tables: loss_curves.judge_adapter_rates(
            [*tables[loss_curves.LORA_V50], *tables[loss_curves.LORA_V51]]
        ),
    ),
    Question(
        ("small-batch",),
        (loss_curves.SCRATCH,),
        lambda tables: loss_curves.judge_batch(
            tables[loss_curves.SCRATCH], loss_curves.SCRATCH
        ),
    ),
    _early_loss(loss_curves.PEFT),
    _early_loss(loss_curves.LORA_V50),
    _early_loss(loss_curves.LORA_V51),
    _early_loss(loss_curves.SCRATCH),
)


def replay(tables: Mapping[str, Rows]) -> list[Judgement]:
    """All judgements that the tables which are there allow."""
    return [
        judgement
        for question in QUESTIONS
        if all(key in tables for key in question.tables)
        for judgement in question.judge(tables)
    ]


def rows_used(tables: Mapping[str, Rows]) -> dict[str, dict[str, int]]:
    """How many rows, or runs, each table has, and how many have scores set aside.

    Set aside are scores that are exact copies of another row's.
    """
    counted = {key: {"rows": len(rows), "copied": 0} for key, rows in tables.items()}
    if sft_scores.TABLE in tables:
        copied = sft_scores.copied_scores(tables[sft_scores.TABLE])
        counted[sft_scores.TABLE]["copied"] = len({row for row, _ in copied})
    return counted


def unjudged(tables: Mapping[str, Rows]) -> dict[str, tuple[str, ...]]:
    """Claims that the tables could judge but for files that are missing.

    Returns:
        The missing tables' keys by claim; a claim that other tables judge is named too.
    """
    found: dict[str, set[str]] = {}
    for question in QUESTIONS:
        missing = {key for key in question.tables if key not in tables}
        if missing:
            for claim in question.claims:
                found.setdefault(claim, set()).update(missing)
    return {claim: tuple(sorted(keys)) for claim, keys in found.items()}
