"""The benchmark of known mistakes: its results, and the table of reported ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from axolotl_sftguide.advice import RULES
from scripts import load_script

PROJECT = Path(__file__).parent.parent
RESULTS = json.loads((PROJECT / "benchmarks/results/check_mistakes.json").read_text())


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = PROJECT / "benchmarks" / "check_mistakes.py"
    return load_script(path)


@pytest.mark.parametrize("given", ["reports", "documentation", "pages"])
def test_as_many_mistakes_are_found_as_the_results_say(
    benchmark: ModuleType, given: str
) -> None:
    measured = benchmark.measured(list(getattr(benchmark, given)()))
    assert measured["found"] == RESULTS[given]["found"]
    assert measured["recall"] >= 0.8
    assert measured["on_those"] == RESULTS[given]["on_those"]
    assert sum(measured["on_those"].values()) <= 1


def test_the_table_has_fifty_mistakes_with_threads_and_findings() -> None:
    text = (PROJECT / "docs" / "mistakes.md").read_text()
    rows = re.findall(r"^\| (\d+) \|[^|]+\|([^|]+)\|([^|]+)\|$", text, flags=re.M)
    assert sorted(int(number) for number, _, _ in rows) == list(range(1, 51))
    assert all("https://github.com/" in threads for _, threads, _ in rows)
    named = {
        name for _, _, cell in rows for name in re.findall(r"`([a-z0-9-]+)`", cell)
    }
    assert {name for name in named if "-" in name} - {"--data"} <= set(RULES)
