"""Whole tables of the docs that are made from `benchmarks/results`, by their pages.

Marked parts (`<!-- NAME -->`) are written by the scripts that measure them. These
tables have no marks: `figures.py` looks for their text.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from statistics import fmean, median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import curves  # noqa: E402
import evaluation_patience  # noqa: E402
import parking  # noqa: E402

RESULTS = HERE / "results"


def read(name: str) -> Any:
    """The results of a benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


@cache
def tables() -> dict[str, dict[str, str]]:
    """The text of each table by page and title, in the order of the page."""
    return {
        "docs/evidence.md": {
            "early signals": _signals(),
            **_curves(),
            **_patience(),
            **_parking(),
        },
        "docs/memory.md": {"reported": _reported()},
    }


def _signals() -> str:
    """Early signals on the quickstart, with the shares of the run at which they are."""
    found = read("quickstart_signals")
    lines = ["| signal | read at | rank correlation with the score (95%) |"]
    lines.append("|---|---|---|")
    for key, name in (("grad_norm", "gradient norm"), ("loss", "loss")):
        for at, (value, low, high) in found[key].items():
            when = at if len(lines) > 2 else f"{at} of the run"
            shown = f"{value:+.2f} ({low:+.2f} to {high:+.2f})"
            lines.append(f"| {name} | {when} | {shown} |")
    return "\n".join(lines) + "\n"


def _curves() -> dict[str, str]:
    found = read("curves")
    return {
        title: curves.table_of([curves.Row(**row) for row in found[title]])
        for title in ("public logs", "made up")
    }


def _patience() -> dict[str, str]:
    rows = []
    for row in read("evaluation_patience")["rows"]:
        tallies = {k: evaluation_patience.Tally(**row[k]) for k in ("three", "tenth")}
        rows.append(evaluation_patience.Row(**{**row, **tallies}))
    return {"patience": evaluation_patience.table_of(rows)}


def _parking() -> dict[str, str]:
    found = read("parking")
    results = [parking.Parked(**row) for row in found["policies"]]
    untouched = [r for r in results if r.study not in found["tuned"]]
    return {
        f"parking, {size} runs, {name}": parking.with_costs(chosen, size)
        for size in (12, 40)
        for name, chosen in (("all studies", results), ("the others", untouched))
    }


SOURCES = {
    "https://github.com/QwenLM/Qwen": "Qwen's README (A100)",
    "https://github.com/Lightning-AI/litgpt": "LitGPT on an A10G",
    "https://github.com/pytorch/torchtune": "torchtune 856, RTX 4090",
}
UNSLOTH = ("Unsloth's page, HF and FA2", "Unsloth's page, its own, `--trainer unsloth`")
MODELS = {
    "Qwen-1_8B": "Qwen 1.8B",
    "Qwen-7B": "Qwen 7B",
    "Qwen-14B": "Qwen 14B",
    "Llama-3.1-8B": "Llama 3.1 8B",
    "Llama-2-7b-hf": "Llama 2 7B",
    "Mistral-7B-v0.1": "Mistral 7B",
    "gemma-7b": "Gemma 7B",
    "gemma-2-9b": "Gemma 2 9B",
}


def _reported() -> str:
    """A part of the rows of `memory_reported.py`: no short rows, no small models."""
    lines = ["| model | tokens | reported | source | planned | fitcheck |"]
    lines.append("|---|---|---|---|---|---|")
    last = ("", "")
    for row in filter(_shown, read("memory_reported")["rows"]):
        name, source = _training(row), _source(row)
        tokens = f"{row['tokens']:,}" + f" x {row['micro']}" * (row["micro"] > 1)
        planned, theirs = (
            "" if gb is None else f"{gb:.2f} ({_off(gb, row['gb'])})"
            for gb in (row["planned_gb"], row["fitcheck_gb"])
        )
        again = (name, source) == last
        cells = ("" if again else name, tokens, f"{row['gb']:.2f}")
        shown = "" if source == last[1] else source
        line = f"| {' | '.join(cells)} | {shown} | {planned} | {theirs} |"
        lines.append(
            line.removesuffix("|  |") + "| |" if line.endswith("|  |") else line
        )
        last = (name, source)
    return "\n".join(lines) + "\n"


def _shown(row: dict[str, Any]) -> bool:
    name = MODELS.get(row["model"].rpartition("/")[2])
    if name is None or row["embeddings"]:
        return False
    if "QwenLM" in row["source"]:
        return row["tokens"] >= 2048 and (row["bits"] or name == "Qwen 7B")
    return bool(row["bits"]) or name == "Llama 3.1 8B"


def _training(row: dict[str, Any]) -> str:
    kind = (
        "4 bits"
        if row["bits"]
        else "bf16 LoRA" + " on two layers" * bool(row["targets"])
    )
    return f"{MODELS[row['model'].rpartition('/')[2]]}, {kind}"


def _source(row: dict[str, Any]) -> str:
    for address, name in SOURCES.items():
        if row["source"].startswith(address):
            quantised = row["bits"] and "Qwen" in name
            return name.replace("(A100)", "(A100, GPTQ base)") if quantised else name
    return UNSLOTH[row["fused"]]


def _off(value: float, reported: float) -> str:
    """A difference in percent; none has no sign."""
    text = f"{value / reported - 1:+.0%}"
    return text[1:] if text[1:] == "0%" else text


@cache
def derived() -> dict[str, Any]:
    """Means, medians and ratios of results, for the sentences of `figures.yml`."""
    return {
        "parking_means": _means(read("parking")["policies"], read("parking")["tuned"]),
        "stopping_means": _means(read("stopping")["policies"], ()),
        "reported_by_source": _by_source(),
        "reported_rows": {
            f"Unsloth {row['tokens']}": row["planned_gb"]
            for row in read("memory_reported")["rows"]
            if row["fused"]
        },
        "gpu_overhead_shares": _gpu_overhead(),
        "history_per_run": _history(),
    }


def _means(policies: list[dict[str, Any]], tuned: Any) -> dict[str, Any]:
    """Means over the studies of others, by their group, size and policy."""
    found: dict[str, Any] = {}
    public = [row for row in policies if not row.get("own")]
    for name, rows in (
        ("all", public),
        ("tuned", [row for row in public if row["study"] in tuned]),
        ("others", [row for row in public if row["study"] not in tuned]),
    ):
        for row in rows:
            of = found.setdefault(name, {}).setdefault(f"{row['size']} runs", {})
            of.setdefault(row["policy"], []).append(row)
        for sizes in found.get(name, {}).values():
            for policy, chosen in sizes.items():
                keys = ("saved", "best_kept", "regret", "most_parked", "resumed")
                sizes[policy] = {
                    key: fmean(r[key] for r in chosen if r.get(key) is not None)
                    for key in keys
                    if any(r.get(key) is not None for r in chosen)
                }
                sizes[policy]["studies"] = {r["study"]: r for r in chosen}
    return found


def _by_source() -> dict[str, Any]:
    """Median and largest difference of the plan and of fitcheck, by source and kind."""
    groups: dict[str, dict[str, list[float]]] = {}
    for row in read("memory_reported")["rows"]:
        source = next((s for a, s in SOURCES.items() if row["source"].startswith(a)), 0)
        name = str(source or "Unsloth").partition(" ")[0].removesuffix("'s")
        kind = "4 bits" if row["bits"] else "bf16"
        of = groups.setdefault(
            f"{name}, {kind}{', embeddings' * row['embeddings']}", {}
        )
        of.setdefault("planned", []).append(abs(row["planned_gb"] / row["gb"] - 1))
        if row["fitcheck_gb"] is not None:
            theirs = abs(row["fitcheck_gb"] / row["gb"] - 1)
            of.setdefault("fitcheck", []).append(theirs)
            beside = abs(row["planned_gb"] / row["gb"] - 1)
            of.setdefault("planned beside fitcheck", []).append(beside)
    return {
        name: {
            who: {"rows": len(found), "median": median(found), "largest": max(found)}
            for who, found in of.items()
        }
        for name, of in groups.items()
    }


def _gpu_overhead() -> dict[str, Any]:
    """The cost of each way of watching over the unwatched training of its turn."""
    rows = read("gpu_overhead")["rows"]
    plain = {
        (row["machine"], row["turn"]): row["median_seconds"]
        for row in rows
        if row["way"] == "unwatched"
    }
    found: dict[str, list[float]] = {}
    for row in rows:
        share = row["median_seconds"] / plain[row["machine"], row["turn"]] - 1
        found.setdefault(row["way"], []).append(share)
    return {
        way: {"low": min(shares), "median": median(shares), "high": max(shares)}
        for way, shares in found.items()
    }


def _history() -> dict[str, float]:
    """Milliseconds to read a run's curves: ours has two signals, Optuna's has one."""
    found = read("history")["sqlite"]
    ours = 1000 * found["begin_seconds"] / found["runs"]
    theirs = 1000 * found["optuna"]["seconds"] / found["optuna"]["runs"]
    return {"ours_ms": ours, "optuna_ms": theirs, "optuna_over_ours": theirs / ours}
