"""Rank correlation and how often its interval contains the true value."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from axolotl_sftguide.signals.correlation import Correlation, spearman


def test_it_is_one_for_anything_that_rises() -> None:
    found = spearman([1, 2, 3, 4, 5, 6], [1, 10, 11, 50, 51, 1000])
    assert found is not None
    assert found.value == 1.0
    assert 0 < found.low < 1 == found.high
    turned = spearman([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1])
    assert turned is not None
    assert (turned.value, turned.low) == (-1.0, -1.0)
    assert turned.high < 0


def test_equal_values_share_their_rank() -> None:
    found = spearman([1, 2, 2, 3, 4], [10, 20, 30, 40, 50])
    assert found is not None
    assert found.value == pytest.approx(0.9746794)  # SciPy 1.16's spearmanr


@pytest.mark.parametrize(
    ("one", "two"), [([1, 2], [1, 2]), ([1] * 9, list(range(9))), ([], [])]
)
def test_few_pairs_or_a_constant_side_have_no_correlation(
    one: list[int], two: list[int]
) -> None:
    assert spearman(one, two) is None


@pytest.mark.parametrize("seed", range(20))
def test_it_is_scipys(seed: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    draw = random.Random(seed)
    one = [draw.randrange(8) for _ in range(5 + seed)]
    two = [x + draw.randrange(9) for x in one]
    found = spearman(one, two)
    assert found is not None
    assert found.value == pytest.approx(stats.spearmanr(one, two).statistic)


def with_correlations(pairs: int, seed: int) -> Iterator[Correlation]:
    """From 1 down to about 0, as more and more neighbours change places."""
    draw = random.Random(seed)
    one = list(range(pairs))
    two = list(one)
    for _ in range(4 * pairs):
        found = spearman(one, two)
        assert found is not None
        yield found
        at = draw.randrange(pairs - 1)
        two[at], two[at + 1] = two[at + 1], two[at]


@pytest.mark.parametrize("pairs", [5, 6, 10, 12, 40])
def test_the_interval_of_a_higher_correlation_is_never_lower(pairs: int) -> None:
    found = [c for seed in range(10) for c in with_correlations(pairs, seed)]
    found.sort(key=lambda c: c.value)
    assert found[-1].value == 1
    assert [c.low for c in found] == sorted(c.low for c in found)
    assert [c.high for c in found] == sorted(c.high for c in found)
    assert all(c.low <= c.value <= c.high for c in found)


def test_ten_pairs_in_one_order_say_more_than_ten_with_two_of_them_swapped() -> None:
    one = list(range(10))
    same, swapped = spearman(one, one), spearman(one, [1, 0, *range(2, 10)])
    assert same is not None
    assert swapped is not None
    assert swapped.value == pytest.approx(0.988, abs=1e-3)
    assert swapped.low == pytest.approx(0.93, abs=0.01)
    assert swapped.low < same.low < same.high == 1


@pytest.mark.parametrize("true", [0.0, 0.6])
def test_the_interval_contains_the_true_value_in_95_percent(true: float) -> None:
    draw = random.Random(1)
    ranks = 6 / math.pi * math.asin(true / 2)  # of two normal variables
    inside = 0
    for _ in range(1000):
        one = [draw.gauss(0, 1) for _ in range(16)]
        two = [true * x + math.sqrt(1 - true**2) * draw.gauss(0, 1) for x in one]
        found = spearman(one, two)
        assert found is not None
        inside += found.low <= ranks <= found.high
    assert 930 <= inside <= 985
