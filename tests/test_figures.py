"""The figures of README and docs are those of `benchmarks/results`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scripts import load_script

PROJECT = Path(__file__).parent.parent
BENCHMARKS = PROJECT / "benchmarks"
SOURCES = "".join(
    (BENCHMARKS / name).read_text() for name in ("figures.yml", "tables.py")
)
RESULTS = [
    path
    for path in sorted((BENCHMARKS / "results").glob("*.json"))
    if re.search(rf"\b{path.stem}\b", SOURCES)
]
"""Those that the pages have figures of."""
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def figures() -> Any:
    return load_script(BENCHMARKS / "figures.py")


@pytest.fixture(scope="module")
def evidence(figures: Any) -> Any:
    name = "docs/evidence.md"
    return figures.Page(name, (PROJECT / name).read_text())


def test_every_figure_of_the_pages_is_in_the_results(figures: Any) -> None:
    found = []
    for name in figures.LISTED["pages"]:
        found += figures.Page(name, (PROJECT / name).read_text()).differences
    assert not found, "\n".join(map(str, [*found, figures.REMEDY]))


def test_every_page_says_whether_it_has_measurements(figures: Any) -> None:
    listed = {*figures.LISTED["pages"], *figures.LISTED["without_measurements"]}
    missing = {str(page.relative_to(PROJECT)) for page in PAGES} - listed
    assert not missing, (
        "add to benchmarks/figures.yml, under `pages` or `without_measurements`"
    )


def test_a_figure_that_differs_is_found_and_written(
    figures: Any, evidence: Any
) -> None:
    changed = evidence.text.replace(
        "Judging one step took 0.", "Judging one step took 7."
    )
    page = figures.Page(evidence.name, changed)
    (difference,) = page.differences
    assert "has 7." in difference.problem
    assert page.with_results() == evidence.text


@pytest.mark.parametrize(
    "sentence",
    [
        "A start takes 3.75 s.",
        "This saves 87.5% of it.",
        "It needs 733 MiB.",
        "| a row | 4.875 |",
    ],
)
def test_a_measurement_that_is_in_no_results_is_found(
    figures: Any, evidence: Any, sentence: str
) -> None:
    page = figures.Page(evidence.name, f"{evidence.text}\n{sentence}\n")
    (difference,) = page.differences
    assert "neither in the results" in difference.problem


def test_a_table_with_another_value_is_found(figures: Any, evidence: Any) -> None:
    row = "| healthy | healthy | 42 | 0 |"
    assert row in evidence.text
    page = figures.Page(
        evidence.name, evidence.text.replace(row, row.replace("42", "43"))
    )
    (difference,) = page.differences
    assert "another table 'public logs'" in difference.problem
    assert page.with_results() == evidence.text


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_say_how_when_and_where_they_were_made(path: Path) -> None:
    results = json.loads(path.read_text())
    found = [results.get("about"), *(_about(value) for value in results.values())]
    abouts = [about for about in found if about]
    assert abouts
    for about in abouts:
        assert about["command"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", about["date"])
        assert about["machine"]
    assert str(PROJECT) not in path.read_text()


def _about(value: Any) -> Any:
    return value.get("about") if isinstance(value, dict) else None


@pytest.mark.parametrize("area", ["processes", "inputs"])
def test_the_page_on_faults_has_each_campaign_with_its_counts(area: str) -> None:
    results = json.loads((BENCHMARKS / "results" / f"faults_{area}.json").read_text())
    page = (PROJECT / "docs" / "faults.md").read_text()
    assert results["campaigns"]
    for row in results["campaigns"]:
        names = ("tries", "tracebacks", "losses", "wrong")
        counts = " | ".join(f"{row[name]:,}" for name in names)
        assert f"| {row['what']} | {counts} |\n" in page


def test_make_bench_runs_what_is_here_and_says_what_it_leaves_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = load_script(BENCHMARKS / "__main__.py")
    monkeypatch.setattr("sys.argv", ["x", "--list", "--data", str(tmp_path)])
    bench.main()
    printed = capsys.readouterr().out
    assert "left out, not here: data:curves.json" in printed
    assert "cli_start, about 2 min, beside axolotl --help\n" in printed
    for benchmark in bench.BENCHMARKS:
        assert (BENCHMARKS / benchmark.command.split()[0]).exists()
