"""Intervals that resample whole clusters cover the truth, and say when they cannot."""

from __future__ import annotations

import random

import pytest

from axolotl_sftguide.evidence import intervals
from axolotl_sftguide.evidence.intervals import (
    difference,
    mean,
    rank_correlation,
    resampled,
)

Cells = list[tuple[tuple[str, ...], float]]


def coverage(draw: random.Random, rows: int, columns: int, crossed: bool) -> float:
    """How often the interval covers 0 where rows, columns and cells vary about it."""
    hits = 0
    for _ in range(200):
        by_row = [draw.gauss(0, 1) for _ in range(rows)]
        by_column = [draw.gauss(0, 0.5) for _ in range(columns)]
        cells: Cells = [
            (
                (f"row {i}", f"column {j}") if crossed else (f"row {i}",),
                by_row[i] + crossed * by_column[j] + draw.gauss(0, 1),
            )
            for i in range(rows)
            for j in range(columns)
        ]
        found = resampled(cells, mean)
        assert found is not None
        hits += found.low <= 0 <= found.high
    return hits / 200


@pytest.mark.parametrize(
    ("rows", "columns", "crossed"), [(9, 3, False), (7, 1, False), (8, 10, True)]
)
def test_the_interval_covers_the_truth_about_as_often_as_it_says(
    rows: int, columns: int, crossed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 300)
    assert 0.9 <= coverage(random.Random(1), rows, columns, crossed) <= 0.99


def test_runs_of_one_cluster_are_not_independent() -> None:
    """Each cluster ten times over leaves the interval as it is."""
    cells: Cells = [((f"base {i}",), float(i % 3)) for i in range(9)]
    once, often = resampled(cells, mean), resampled(cells * 10, mean)
    assert once is not None
    assert often is not None
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    assert (often.count, often.clusters) == (90, 9)


def test_fewer_than_five_clusters_give_no_interval() -> None:
    cells: Cells = [((f"base {i}",), 1.0) for i in range(4)]
    assert resampled(cells * 20, mean) is None
    assert resampled([], mean) is None
    four = {f"base {i}": [1.0] for i in range(4)}
    assert difference(four, four | {"base 4": [1.0], "base 5": [1.0]}) is None


def test_a_cluster_with_many_runs_counts_once_in_a_difference() -> None:
    one = {f"s{i}": [1.0] for i in range(6)} | {"s6": [8.0] * 100}
    other = {f"s{i}": [0.0] for i in range(7)}
    found = difference(one, other)
    assert found is not None
    assert found.value == pytest.approx(2.0)
    assert found.low <= 1.0


def test_the_same_values_give_the_same_interval() -> None:
    cells: Cells = [((f"base {i}",), i**0.5) for i in range(8)]
    assert resampled(cells, mean) == resampled(cells, mean)


def test_ranks_with_ties_share_their_mean() -> None:
    assert rank_correlation([(1, 1), (2, 4), (2, 4), (9, 16)]) == pytest.approx(1)
    assert rank_correlation([(1, 9), (2, 4), (3, 1)]) == pytest.approx(-1)
    assert rank_correlation([(1, 1), (1, 2), (2, 2), (2, 1)]) == pytest.approx(0)
