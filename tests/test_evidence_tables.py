"""Published results are brought into the tables that the replay reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from axolotl_sftguide.evidence.loss_curves import LORA_V50, PEFT
from axolotl_sftguide.evidence.replay import TABLES
from scripts import load_script

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "evidence_tables.py"

SWEEP = """# SFT sweep

## Findings

| LR | LoRA Rank | Test NLL | Train NLL | Time |
| 1e-01 | 9 | 9.0 | 9.0 | 1 |

## maker/Model-8B

| LR | LoRA Rank | Test NLL | Train NLL | Time |
|---:|----------:|---------:|----------:|-----:|
| 4e-05 | 1 | 0.6090 | 0.6195 | 331 |
| 1e-04 | 16 | 0.5986 | 0.6106 | 360 |

> **Note:** 3 run(s) diverged (test_nll > 2.0) at lr={1e-03, 3e-03} with rank={1, 2} and
are excluded.

## maker/Other-1B

| 3e-04 | 4 | 0.7000 | 0.7100 | 3 |
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script(SCRIPT)


def test_every_table_is_fetched_once_from_one_commit(script: ModuleType) -> None:
    fetched = [key for keys, _ in script.WANTED for key in keys]
    assert sorted(fetched) == sorted(TABLES) == sorted(script.WRITERS)
    for keys, _ in script.WANTED:
        places = {(TABLES[key].repository, TABLES[key].commit) for key in keys}
        assert len(places) == 1


def test_the_sweeps_page_becomes_two_tables(script: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / TABLES["tinker-sft-sweep"].path
    page.parent.mkdir(parents=True)
    page.write_text(SWEEP)
    assert script.rates(tmp_path, tmp_path / "rates.csv") == 3
    assert script.diverged(tmp_path, tmp_path / "diverged.csv") == 1
    rows = list(csv.DictReader((tmp_path / "rates.csv").open()))
    assert rows[1] == {
        "model": "maker/Model-8B",
        "learning_rate": "1e-04",
        "lora_rank": "16",
        "test_nll": "0.5986",
        "train_nll": "0.6106",
    }
    (row,) = csv.DictReader((tmp_path / "diverged.csv").open())
    assert row["learning_rates"] == "1e-03, 3e-03"
    assert row["ranks"] == "1, 2"


def test_a_result_of_peft_becomes_a_run(script: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / TABLES[PEFT].path
    folder.mkdir(parents=True)
    steps = [{"step": 250, "train samples": 1000, "train loss": 1.5}]
    last = {"step": 5000, "test accuracy": 0.4, "forgetting": 0.05}
    training = {"optimizer_kwargs": {"lr": 1e-4}, "batch_size": 4}
    info = {"train_config": training, "peft_config": None}
    result = {"run_info": info, "train_info": {"metrics": [*steps, last]}}
    (folder / "full.json").write_text(json.dumps(result))
    assert script.peft(tmp_path, tmp_path / "grid.json") == 1
    (run,) = json.loads((tmp_path / "grid.json").read_text())["runs"]
    assert run["config"] == {"lr": 1e-4, "method": "FULL", "bs": 4}
    assert run["points"] == [[250, 1000, 1.5]]
    assert (run["score"], run["forgetting"]) == (0.4, 0.05)


def entry(key: str, value: Any, **metadata: Any) -> str:
    text = json.dumps({"key": key, "value": value, "metadata": metadata})
    return f"0: :::MLLOG {text}"


def test_a_log_of_mlperf_becomes_a_run_cut_at_equal_samples(
    script: ModuleType, tmp_path: Path
) -> None:
    lines = [
        "noise",
        "0: :::MLLOG {broken",
        entry("seed", 7),
        entry("global_batch_size", 8),
        entry("opt_base_learning_rate", 5e-4),
        entry("train_loss ", 1.5, samples_count=80),
        entry("tracked_stats", {"train_loss": 1.25}, samples_count=160),
        entry("tracked_stats", {"throughput": 2.0}, samples_count=200),
        entry("eval_accuracy", 0.94, samples_count=2304),
        entry("eval_accuracy", 0.92, samples_count=3072),
        entry("train_loss", 1.0, samples_count=3000),
    ]
    path = tmp_path / "Maker" / "results" / "box" / "llama2_70b_lora" / "result_0.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines))
    short = path.with_name("result_1.txt")
    short.write_text("\n".join(lines[:9]))
    assert script.lora(tmp_path, tmp_path / "grid.json", LORA_V50) == 1
    (run,) = json.loads((tmp_path / "grid.json").read_text())["runs"]
    assert run["id"] == "Maker/results/box/llama2_70b_lora#7"
    assert run["score"] == 0.93
    assert run["points"] == [[10, 80, 1.5], [20, 160, 1.25]]
    assert run["config"]["cfg"].partition("/")[0] == "Maker"


def test_the_value_at_a_sample_count_lies_between_its_neighbours(
    script: ModuleType,
) -> None:
    points = [(10, 1.0), (20, 3.0)]
    assert script.at(points, 15) == 2.0
    assert script.at(points, 20) == 3.0
    assert script.at(points, 9) is None
    assert script.at(points, 21) is None
