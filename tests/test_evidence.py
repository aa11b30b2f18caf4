"""Claims: each once, with its setting and source, and the page that shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from axolotl_sftguide.evidence import CLAIMS, Claim, Setting, claim, claims_table

PAGE = Path(__file__).parent.parent / "docs" / "evidence.md"


def test_the_page_shows_all_claims_as_they_are() -> None:
    assert claims_table() in PAGE.read_text()


@pytest.mark.parametrize("key", CLAIMS)
def test_a_claim_says_what_where_and_whence(key: str) -> None:
    said = CLAIMS[key]
    assert said.says
    assert said.source
    assert said.low is None or said.high is None or said.low <= said.high
    assert (said.low is None) == (said.value == "")


def test_no_two_claims_say_the_same() -> None:
    said = [(c.says, c.setting, c.source) for c in CLAIMS.values()]
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
