"""The grids in `benchmarks/grids`: their results and their held-out questions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import load_script

GRIDS = Path(__file__).parent.parent / "benchmarks" / "grids"
WORDNET = Path("/usr/share/wordnet")
RESULTS = sorted((GRIDS / "results").glob("*.json"))


@pytest.fixture(scope="module")
def signals() -> Any:
    return load_script(GRIDS / "signals.py")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_grid_has_both_scores_and_a_whole_curve_for_each_run(path: Path) -> None:
    grid = json.loads(path.read_text())
    base = json.loads((GRIDS / "base.json").read_text())
    assert grid["setting"]["base_sha256"] == base["sha256"]["model.safetensors"]
    assert 0 < len(grid["runs"]) <= grid["planned"]
    configs = [json.dumps(run["config"], sort_keys=True) for run in grid["runs"]]
    assert len(set(configs)) == len(configs)
    for run in grid["runs"]:
        assert set(run["scores"]) == set(grid["scores"])
        assert all(0 <= score <= 1 for score in run["scores"].values())
        steps, samples = [[p[i] for p in run["points"]] for i in (0, 1)]
        assert steps == sorted(set(steps))
        assert samples[-1] == grid["setting"]["data"]["rows"]
        assert samples[-1] == steps[-1] * run["samples_per_step"]


def test_seeds_of_one_setting_are_drawn_together(signals: Any) -> None:
    runs = [
        {"config": {"learning_rate": rate, "seed": seed}}
        for rate in (1e-3, 1e-4)
        for seed in (1, 2, 3)
    ]
    assert sorted(len(group) for group in signals.settings(runs)) == [3, 3]


def test_a_signal_that_orders_settings_by_chance_has_a_wide_interval(
    signals: Any,
) -> None:
    # Five settings of five equal seeds are five data, however many runs they are.
    scores = (2.0, 1.0, 3.0, 5.0, 4.0)
    rows = [[(float(i), score, 8.0)] * 5 for i, score in enumerate(scores)]
    assert signals.over_all([row for group in rows for row in group]) > 0.4
    low, high = signals.interval(rows, signals.over_all)
    assert low < 0 < high


def test_batches_that_differ_in_norm_alone_are_not_evidence_within_a_batch(
    signals: Any,
) -> None:
    noise = (0.3, 0.5, 0.1, 0.4, 0.2)
    small = [(10 + n, 0.1 + i / 100, 8.0) for i, n in enumerate(noise)]
    large = [(n, 0.9 + i / 100, 64.0) for i, n in enumerate(noise)]
    assert signals.over_all(small + large) < -0.5
    assert abs(signals.same_batch(small + large)) < 0.5


def test_a_loss_that_is_not_finite_counts_as_the_largest(signals: Any) -> None:
    points = [[i, 8 * i, None if i == 5 else 1.0, 1.0, 1e-3] for i in range(1, 11)]
    run = {"points": points}
    assert signals.signal(run, signals.LOSS, 0.5) == float("inf")
    assert signals.signal(run, signals.LOSS, 0.4) == 1.0


@pytest.mark.slow
def test_the_evidence_page_has_the_tables_of_the_results(signals: Any) -> None:
    page = (GRIDS.parent.parent / "docs" / "evidence.md").read_text()
    assert signals.written_into(page, signals.report(signals.RESULTS)) == page


@pytest.mark.skipif(not WORDNET.is_dir(), reason="needs Debian's package wordnet-base")
def test_no_held_out_question_is_in_the_data_or_in_the_base_s_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = str(GRIDS / "make_data.py")
    subprocess.run([sys.executable, script, "--out", str(tmp_path)], check=True)
    committed = json.loads((GRIDS / "data.json").read_text())
    assert json.loads((tmp_path / "data.json").read_text()) == committed

    def definitions(name: str) -> set[str]:
        lines = (tmp_path / name).read_text().splitlines()
        asked = [json.loads(line)["messages"][0]["content"] for line in lines]
        assert len(asked) == len(set(asked)) == committed[name]["rows"]
        heads = ("What kind of act is it to ", "Part of speech: ")
        for head in heads:
            asked = [text.removeprefix(head) for text in asked]
        return {text.removesuffix("?").removesuffix(" ->") for text in asked}

    monkeypatch.syspath_prepend(str(GRIDS))
    import wordnet

    text, _ = wordnet.nouns(WORDNET, 42)
    seen = {entry.definition for entry in text}
    seen |= definitions("knowledge.jsonl") | definitions("skill.jsonl")
    assert not seen & (definitions("taught.jsonl") | definitions("retained.jsonl"))
