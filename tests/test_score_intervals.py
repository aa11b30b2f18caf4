"""The interval of a score that is a share of held-out examples."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from runs import run_row, write_trace

from axolotl_sftguide.cli import main
from axolotl_sftguide.runs.history import RunHistory, Score
from axolotl_sftguide.runs.lm_eval_results import read_lm_eval_results
from axolotl_sftguide.runs.score_intervals import interval


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("n", [40, 300])
def test_the_interval_holds_the_true_share_in_95_of_100_samples(
    n: int, share: float
) -> None:
    draw, inside, times = random.Random(0), 0, 2000
    for _ in range(times):
        right = sum(draw.random() < share for _ in range(n))
        found = interval(Score("m", right / n, "max", examples=n))
        assert found is not None
        inside += found[0] <= share <= found[1]
    assert 0.92 <= inside / times <= 0.99


def test_the_interval_is_that_of_published_tables() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I: Wilson's score method.
    found = interval(Score("m", 81 / 263, "max", examples=263))
    assert found == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert interval(Score("m", 0.0, "max", examples=20)) == pytest.approx(
        (0.0, 0.1611), abs=5e-5
    )


def test_a_score_that_is_no_share_of_its_examples_has_no_interval() -> None:
    assert interval(Score("m", 0.5, "max")) is None
    assert interval(Score("rouge", 0.4137, "max", examples=100)) is None
    assert interval(Score("perplexity", 3.0, "min", examples=100)) is None


def test_the_page_of_a_run_says_how_many_examples_a_score_has(tmp_path: Path) -> None:
    history = RunHistory()
    history.begin(run_row("r1"))
    history.end("r1", "finished")
    history.add_score("r1", Score("exact", 0.5, "max", 0.1, examples=40))
    shown = CliRunner().invoke(main, ["runs", "show", "r1"]).output
    assert "40 examples, 95% interval 0.352 to 0.648" in " ".join(shown.split())
    (score,) = RunHistory().get("r1").scores
    assert score.examples == 40
    page = tmp_path / "report.html"
    CliRunner().invoke(main, ["report", "-o", str(page)])
    assert "40 examples, 95% interval 0.352 to 0.648" in page.read_text()


def test_results_of_lm_eval_bring_their_number_of_examples(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = {"arc": {"acc,none": 0.25}, "mmlu": {"acc,none": 0.5}}
    counted = {"arc": {"original": 200, "effective": 100}}
    path.write_text(json.dumps({"results": results, "n-samples": counted}))
    scores = {score.metric: score.examples for score in read_lm_eval_results(path)}
    assert scores == {"arc/acc": 100, "mmlu/acc": None}


def test_a_trace_from_before_has_scores_without_examples(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["runs", "import", str(write_trace(tmp_path))])
    assert RunHistory().get("r1").scores[0].examples is None


@pytest.mark.parametrize(("second", "overlap"), [(0.45, True), (0.1, False)])
def test_the_report_says_whether_the_two_best_scores_are_apart(
    tmp_path: Path, second: float, overlap: bool
) -> None:
    history = RunHistory()
    for run_id, value in (("r1", 0.5), ("r2", second)):
        history.begin(run_row(run_id))
        history.end(run_id, "finished")
        history.add_score(run_id, Score("exact", value, "max", examples=40))
    page = tmp_path / "report.html"
    CliRunner().invoke(main, ["report", "-o", str(page)])
    told = page.read_text()
    shares = "Both are shares of 40 held-out examples, with 95% intervals 0.352 to"
    assert shares in told
    assert ("they overlap, so the margin alone says little" in told) == overlap
