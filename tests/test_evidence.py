"""Claims: each once, with its setting and source, and the page that shows them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from axolotl_sftguide.config.mix_settings import MixSettings
from axolotl_sftguide.config.rule_settings import EvaluationSettings, ParkingSettings
from axolotl_sftguide.config.settings import ScoreSettings, Settings
from axolotl_sftguide.evidence import (
    CLAIMS,
    DEFAULTS,
    Claim,
    Setting,
    claim,
    claims_table,
)
from axolotl_sftguide.evidence.page import page_with_parts
from axolotl_sftguide.signals.forecast import EarlierRun
from scripts import load_script

PROJECT = Path(__file__).parent.parent
PAGE = PROJECT / "docs" / "evidence.md"


def test_the_page_shows_all_claims_as_they_are() -> None:
    assert claims_table() in PAGE.read_text()


@pytest.mark.parametrize("key", CLAIMS)
def test_a_claim_has_a_statement_a_source_and_a_range(key: str) -> None:
    said = CLAIMS[key]
    assert said.statement
    assert said.source
    assert said.low is None or said.high is None or said.low <= said.high
    assert (said.low is None) == (said.value == "")


def numeric_defaults(model: type[Any], path: str = "") -> Iterator[tuple[str, float]]:
    """The dotted path and value of each number that is a default."""
    for name, field in model.model_fields.items():
        here = f"{path}.{name}" if path else name
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from numeric_defaults(type(default), here)
        elif isinstance(default, (int, float)) and not isinstance(default, bool):
            yield here, default


def all_defaults() -> dict[str, float]:
    found = dict(numeric_defaults(Settings))
    parking = "early_termination.prediction.parking"
    found |= numeric_defaults(ParkingSettings, parking)
    found |= numeric_defaults(EvaluationSettings, "early_termination.evaluation")
    found |= numeric_defaults(ScoreSettings, "score")
    return found | dict(numeric_defaults(MixSettings, "mix"))


def defaults_table() -> str:
    lines = ["| setting | default | reason | grade |", "|---|---|---|---|"]
    for path, value in all_defaults().items():
        why, grade = DEFAULTS[path]
        shown = f"{value / 2**30:g}GiB" if path.endswith(".disk") else f"{value:g}"
        lines.append(f"| `{path}` | {shown} | {why} | {grade} |")
    return "\n".join(lines) + "\n"


def test_each_number_that_is_a_default_has_its_reason() -> None:
    assert set(all_defaults()) == set(DEFAULTS)


def test_the_page_shows_the_defaults_as_they_are() -> None:
    assert defaults_table() in PAGE.read_text()


def benchmark(name: str) -> tuple[Any, Any]:
    """A benchmark as a module, and its committed results."""
    path = PROJECT / "benchmarks" / f"{name}.py"
    module = load_script(path)
    results = PROJECT / "benchmarks" / "results" / f"{name}.json"
    return module, json.loads(results.read_text())


def test_the_page_shows_what_rules_and_pruners_save_and_lose() -> None:
    stopping, _ = benchmark("stopping")
    page = PAGE.read_text()
    assert page_with_parts(page, stopping.page_parts()) == page


def test_a_result_replaces_that_of_its_study_and_policy(tmp_path: Path) -> None:
    stopping, _ = benchmark("stopping")
    path, name = tmp_path / "r.json", "median stopping"
    one, two = (stopping.Result(s, name, 12, 0.1, 1.0, None) for s in ("a", "b"))
    chance = stopping.Calibration("0.0% to 0.5%", 1, 0.1, 0.1, 1.0)
    stopping.write(path, [one, two], [chance], [])
    stopping.write(path, [replace(two, saved=0.3)], [replace(chance, own=True)], [])
    found = json.loads(path.read_text())
    assert [r["saved"] for r in found["policies"]] == [0.1, 0.3]
    assert [r["own"] for r in found["calibration"]] == [False, True]


def test_a_score_is_called_predictable_where_the_interval_excludes_zero() -> None:
    """A study whose loss shows the score from half of the run on, and one of noise."""
    stopping, _ = benchmark("stopping")
    looks = stopping.LOOKS
    for late, expected in ((True, looks[7:]), (False, ())):
        draw = random.Random(1)
        runs = []
        for i in range(30):
            losses = [draw.random() for _ in looks]
            if late:
                losses[7:] = [1 - i / 30] * (len(looks) - 7)
            earlier = EarlierRun(str(i), float(i), 1.0, tuple(losses), str(i))
            runs.append(stopping.Run(str(i), float(i), (), earlier, earlier))
        found = stopping.predictable(stopping.Study("s", tuple(runs)))
        assert tuple(found.clear)[-len(expected) or len(looks) :] == expected
        assert len(found.clear) <= len(expected) + 2
    assert "55%" in stopping._spans(looks[8:])


def test_a_stop_by_evaluations_needs_bad_evaluations_at_two_looks() -> None:
    stopping, _ = benchmark("stopping")
    looks = len(stopping.LOOKS)

    def run(name: str, score: float, value: float) -> Any:
        earlier = EarlierRun(name, score, 1.0, (1.0,) * looks, name)
        evaluated = replace(earlier, losses=(value,) * looks)
        return stopping.Run(name, score, (), earlier, evaluated)

    kept = [run(str(i), -i / 10 + 0.01 * (i % 2), 1 + i / 10) for i in range(8)]
    for signal, at in (("loss", None), ("evaluations", 0.2), ("either", 0.2)):
        policy = stopping.by_signal(0.02, signal)
        assert policy(run("bad", -2.0, 3.0), kept, random.Random(0)) == at
        assert policy(run("good", 0.1, 0.9), kept, random.Random(0)) is None


def test_patience_on_evaluations_is_tallied_over_whole_runs() -> None:
    """Stopped after the fifth of eight; better later by more than 1%, or by less."""
    patience, _ = benchmark("evaluation_patience")
    flat = [3.0, 2.0, 2.1, 2.1, 2.1, 2.1, 2.1]
    runs = [list(enumerate([*flat, last])) for last in (1.0, 1.99, 2.1)]
    found = patience.Row.of("x", runs, "min")
    assert (found.runs, found.evaluations) == (3, 8)
    assert (found.three.stopped, found.three.better_later) == (3, 1)
    assert found.three.saved == pytest.approx(3 / 8)
    falling = [list(enumerate([9.0, 8.0, 7.0, 6.0, 5.0, 4.0]))]
    assert patience.Row.of("y", falling, "min").three.stopped == 0
    assert patience.Row.of("y", falling, "max").three.stopped == 1


def test_no_two_claims_say_the_same() -> None:
    said = [(c.statement, c.setting, c.source) for c in CLAIMS.values()]
    assert len(set(said)) == len(said)


def test_a_claim_allows_its_value_or_range_and_nothing_else() -> None:
    assert claim("low-rate").allows(2e-5)
    assert not claim("low-rate").allows(2.1e-5)
    assert claim("adapter-rate").allows(2e-4)
    assert not claim("adapter-rate").allows(3e-3)
    assert not claim("constant-rate").allows(0)


def test_a_setting_holds_for_its_kind_and_size_alone() -> None:
    small = Setting("full", least_rows=1_000, most_rows=10_000)
    assert small.holds("full", 1_000)
    assert small.holds("full", 10_000)
    assert not small.holds("full", 10_001)
    assert not small.holds("adapter", 5_000)
    assert not small.holds("full", None)
    assert Setting("adapter").holds("adapter", None)
    assert Setting().holds("full", 3)


def test_the_papers_batch_is_for_no_adapter() -> None:
    for said in CLAIMS.values():
        if said.unit.startswith("samples") and (said.high or 0) > 64:
            assert said.setting.training == "full"


def test_values_are_written_with_their_unit() -> None:
    made = Claim("x", Setting(), "s", "", "derived", 700, 4400, "steps")
    assert made.value == "700 to 4400 steps"
    assert made.reference == "s"
