"""The GPU suite works, as far as a CPU can tell, and says what it cannot measure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from forked import Forked

from axolotl_sftguide.planning import KNOWN, MemoryPlan, plan_memory
from axolotl_sftguide.planning._architecture import read_architecture
from axolotl_sftguide.planning._setting import read_setting
from axolotl_sftguide.recipes import find_recipe

SUITE = Path(__file__).parent.parent / "benchmarks" / "gpu_qlora.py"


@pytest.mark.slow
def test_a_small_model_goes_through_it_on_the_cpu_and_no_memory_is_claimed(
    forked: Forked, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    printed = forked.run(SUITE, "--smoke", "--out", tmp_path, log=tmp_path / "log")
    assert "peak not measured" in printed
    said = json.loads((tmp_path / "gpu_qlora.json").read_text())
    (row,) = said["rows"]
    assert said["where"] == "cpu, no memory measured"
    assert 0 < row["loss_value"] < 20
    assert "peak_allocated_gb" not in row


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would be measured")
def test_without_a_gpu_nothing_is_measured_and_a_message_says_so(
    forked: Forked, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = forked.begin(SUITE, log=log)
    process.join(200)
    assert process.exitcode == 1
    assert "no CUDA device here: nothing measured" in log.read_text()


RESULTS = SUITE.parent / "results"
DOCS = (SUITE.parents[1] / "docs" / "memory.md").read_text()


def tensors(config: dict[str, Any], model: str) -> tuple[float, MemoryPlan]:
    """Planned bytes that PyTorch counts: no context, no slack, no paged optimizer."""
    plan = plan_memory(config, KNOWN[model])
    sizes = {part.name: part.size_bytes for part in plan.parts}
    paged = sizes["optimizer"] if "paged" in config["optimizer"] else 0
    return plan.peak_bytes - sizes["context and slack"] - paged, plan


def measured_settings() -> list[dict[str, Any]]:
    rows = json.loads((RESULTS / "gpu_qlora.json").read_text())["rows"]
    return [row for row in rows if "void" not in row]


@pytest.mark.parametrize("row", measured_settings())
def test_the_plan_of_an_adapter_is_close_to_what_a_gpu_allocated(
    row: dict[str, Any],
) -> None:
    planned, plan = tensors(row["settings"], row["model"])
    if row.get("out_of_memory"):
        assert plan.peak_bytes > 24e9
        return
    assert plan.peak_bytes < 24e9
    allocated = row["peak_allocated_gb"]
    assert allocated * 0.98 < planned / 1e9 < allocated * 1.075
    shown = (
        f"| {row['tokens']:,} | {allocated:.1f} | {planned / 1e9:.1f} "
        f"({100 * (planned / 1e9 / allocated - 1):+.0f}%) | "
        f"{row['peak_reserved_gb']:.1f} | {plan.peak_bytes / 1e9:.1f} |"
    )
    assert shown in DOCS


@pytest.mark.parametrize(
    ("name", "sequences"),
    [
        ("8b-stacked-qlora", 1),
        ("7b-stacked-qlora", 1),
        ("8b-granite-stacked-qlora", 1),
        ("3b-stacked-lora", 2),
    ],
)
def test_the_plan_of_a_recipe_is_close_to_what_axolotl_reported_on_a_gpu(
    name: str, sequences: int
) -> None:
    rows = json.loads((RESULTS / "gpu_recipes.json").read_text())["rows"]
    (row,) = [row for row in rows if row["recipe"] == name]
    recipe = yaml.safe_load(find_recipe(name).text)
    unevaluated = {k: v for k, v in recipe.items() if k != "evals_per_epoch"}
    planned, _ = tensors(unevaluated, recipe["base_model"])
    (reported,) = {max(step["allocated_gib"] for step in row["steps"])}
    assert planned / 2**30 == pytest.approx(reported, rel=0.035)
    assert f"| a step | {reported:.2f} | {planned / 2**30:.2f} (" in DOCS
    reported = max(found["allocated_gib"] for found in row["evaluations"])
    setting = read_setting(recipe, read_architecture(KNOWN[recipe["base_model"]]))
    assert setting.evaluation_rows == sequences
    _, plan = tensors(recipe, recipe["base_model"])
    kept = ("weights", "quantised weights", "other weights", "adapters")
    sizes = {part.name: part.size_bytes for part in plan.parts}
    planned = sum(sizes.get(part, 0) for part in (*kept, "evaluation logits"))
    assert planned / 2**30 == pytest.approx(reported, rel=0.03)
    assert f"| an evaluation | {reported:.2f} | {planned / 2**30:.2f} (" in DOCS
