"""The tables on parking in docs/evidence.md are those of the recorded results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import load_script

PROJECT = Path(__file__).parent.parent
RESULTS = json.loads((PROJECT / "benchmarks/results/parking.json").read_text())


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    path = PROJECT / "benchmarks" / "parking.py"
    return load_script(path)


@pytest.mark.parametrize("size", [12, 40])
@pytest.mark.parametrize("which", ["all", "others"])
def test_a_table_of_the_page_is_that_of_the_results(
    benchmark: object, size: int, which: str
) -> None:
    results = [benchmark.Parked(**row) for row in RESULTS["policies"]]  # type: ignore[attr-defined]
    tuned = set(RESULTS["tuned"])
    assert tuned == set(benchmark.TUNED)  # type: ignore[attr-defined]
    own = [r for r in results if which == "all" or r.study not in tuned]
    table = benchmark.with_costs(own, size)  # type: ignore[attr-defined]
    assert table in (PROJECT / "docs" / "evidence.md").read_text()
