"""The simulated errors and intervals: the page shows them, and they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import load_script

PROJECT = Path(__file__).parent.parent
PAGE = PROJECT / "docs" / "evidence.md"
RESULTS = json.loads((PROJECT / "benchmarks/results/coverage.json").read_text())
CORRELATIONS = ("0", "0.5", "0.8")


@pytest.fixture(scope="module")
def benchmark() -> Any:
    path = PROJECT / "benchmarks" / "error_coverage.py"
    return load_script(path)


def test_the_page_shows_what_was_simulated(benchmark: Any) -> None:
    for name, text in benchmark.tables_of(RESULTS).items():
        assert f"<!-- {name} -->\n{text}<!-- end of {name} -->" in PAGE.read_text()


def by_noise(name: str) -> dict[str, Any]:
    return {row["noise"]: row for row in RESULTS[name]}


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_three_errors_of_a_window_are_rarely_exceeded(correlation: str) -> None:
    """Nominally 0.13%; hardly known after 32 steps with neighbours this alike."""
    row = by_noise("windows")[correlation]
    assert row["after"]["256"] <= 0.0035
    assert max(row["after"].values()) <= 0.0075


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_the_interval_of_the_noise_scale_covers_as_stated(correlation: str) -> None:
    """Nominally 95%; sixteen measurements hardly show how alike they are."""
    row = by_noise("noise_scales")[correlation]
    assert min(row["after"]["64"], row["after"]["256"]) >= 0.945
    assert row["after"]["16"] >= 0.92


def test_the_interval_of_a_rank_correlation_covers_nearly_as_stated() -> None:
    for row in RESULTS["correlations"]:
        assert row["held"] >= (0.935 if row["true"] < 0.95 else 0.89)


def test_the_cohort_gate_opens_by_chance_in_one_study_of_a_hundred() -> None:
    assert max(row["open"]["0.0"] for row in RESULTS["gates"]) <= 0.01


def test_the_intervals_of_a_backtest_cover_as_stated() -> None:
    for row in RESULTS["backtests"]:
        assert min(row["held"].values()) >= 0.9


def test_the_simulations_give_about_what_is_recorded(benchmark: Any) -> None:
    """Recorded results are of the present code."""
    made = {row["noise"]: row for row in benchmark.noise_scales(150)}
    for noise, row in by_noise("noise_scales").items():
        assert made[noise]["after"]["64"] == pytest.approx(row["after"]["64"], abs=0.06)
    recorded = {row["runs"]: row["open"] for row in RESULTS["gates"]}
    for row in benchmark.gates(200):
        for correlation, share in row["open"].items():
            assert share == pytest.approx(recorded[row["runs"]][correlation], abs=0.15)
