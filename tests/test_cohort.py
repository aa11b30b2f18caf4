"""A cohort on a grid, and the rule that reads it."""

from __future__ import annotations

import math
import random
from functools import cache
from typing import Any

import pytest
from loss_curves import fine_tuning, learning, run

from axolotl_sftguide.config.settings import Settings
from axolotl_sftguide.signals import Observation, points_of
from axolotl_sftguide.signals.cohort import GRID, Cohort, doubt_of, grid, quantile_of
from axolotl_sftguide.stopping.rules import BeyondCohort, Grace, Patience, fold

RULES = Settings().early_termination.cohort


def norms(seed: int, factor: float = 1.0) -> list[float]:
    draw = random.Random(seed)
    return [factor * (1.0 + 0.3 * draw.random()) for _ in range(300)]


@cache
def cohort(size: int = 12, quantile: float = 0.5) -> Cohort:
    curves = [points_of(run(learning(300, s), norms(s))) for s in range(size)]
    at: dict[int, list[tuple[float, float]]] = {}
    for curve in curves:
        for point in curve:
            at.setdefault(point.samples_seen, []).append((point.loss, point.grad_norm))
    return Cohort.of(sorted(at.items()), quantile)


def verdict(losses: list[float], grad_norms: list[float], peers: Cohort) -> Any:
    rule = BeyondCohort(peers, RULES.window, RULES.sigmas, 8)
    return fold(
        Patience(Grace(rule, RULES.grace), RULES.patience), run(losses, grad_norms)
    )


@pytest.mark.parametrize("seed", range(50, 90))
def test_one_more_run_like_the_others_is_not_found(seed: int) -> None:
    assert verdict(learning(300, seed), norms(seed), cohort()) is None


def exchangeable(seed: int, correlation: float, spread: float) -> list[Observation]:
    """A run of a cohort in which no run is better than another."""
    draw = random.Random(seed)
    loss, norm = math.exp(draw.gauss(0, spread)), math.exp(draw.gauss(0, spread))
    flat = {"start": 1.0, "end": 1.0, "correlation": correlation}
    losses = [loss * x for x in fine_tuning(seed, correlation=correlation)]
    return run(losses, [norm * x for x in fine_tuning(seed + 10_000, **flat)])


@pytest.mark.parametrize(
    ("correlation", "spread"),
    [
        (0.0, 0.0),
        (0.6, 0.0),
        (0.6, 0.2),
    ],
)
def test_of_a_hundred_exchangeable_runs_at_most_one_is_found(
    correlation: float, spread: float
) -> None:
    found = 0
    for first in range(0, 1300, 13):
        *others, one = (
            exchangeable(seed, correlation, spread) for seed in range(first, first + 13)
        )
        at: dict[int, list[tuple[float, float]]] = {}
        for points in map(points_of, others):
            for point in points:
                values = point.loss, point.grad_norm
                at.setdefault(point.samples_seen, []).append(values)
        losses, norms = [o.loss for o in one], [o.grad_norm for o in one]
        found += verdict(losses, norms, Cohort.of(sorted(at.items()), 0.5)) is not None
    assert found <= 1


@pytest.mark.parametrize("seed", range(50, 60))
def test_both_signals_beyond_the_median_are(seed: int) -> None:
    losses = [0.5 * x for x in learning(300, seed)]
    found = verdict(losses, norms(seed, 2.0), cohort())
    assert found is not None
    assert found.figures["peers"] == 12
    assert (
        "the median of the finished runs of 12 settings after as many samples"
        in found.reason
    )
    assert found.step - found.bad_since == RULES.patience - 1


def test_one_signal_alone_is_not() -> None:
    assert verdict(learning(300, 7), norms(7, 3.0), cohort()) is None
    assert verdict([0.3 * x for x in learning(300, 7)], norms(7), cohort()) is None


def test_too_few_peers_are_no_cohort() -> None:
    losses = [0.3 * x for x in learning(300, 7)]
    assert verdict(losses, norms(7, 3.0), cohort(size=7)) is None


def test_signals_that_do_not_go_with_the_score_are_doubted() -> None:
    draw = random.Random(2)
    as_in_the_paper = [(i + draw.random(), -i + draw.random(), i) for i in range(12)]
    assert doubt_of(as_in_the_paper) is None
    upside_down = [(-loss, norm, score) for loss, norm, score in as_in_the_paper]
    told = doubt_of(upside_down)
    assert told is not None
    assert "the early loss correlates with the score at -" in told
    assert told.endswith("over 12 settings")
    assert "norm" not in told
    noise = [(draw.random(), draw.random(), draw.random()) for _ in range(12)]
    assert " and " in str(doubt_of(noise))
    assert "3 settings do not show whether the early loss" in str(
        doubt_of(as_in_the_paper[:3])
    )


def test_between_two_points_a_line_is_drawn() -> None:
    peers = Cohort.of([(100, [(2.0, 1.0)] * 3), (200, [(1.0, 3.0)] * 5)], 0.5)
    half = peers.at(150)
    assert half is not None
    assert (half.loss, half.grad_norm, half.peers) == (1.5, 2.0, 3)
    assert peers.at(100) == peers.points[0]
    assert peers.at(99) is None
    assert peers.at(201) is None
    assert Cohort.of([], 0.5).at(5) is None


def test_a_quantile_is_that_of_both_signals_in_the_bad_direction() -> None:
    values = [(float(i), float(i)) for i in range(5)]
    (point,) = Cohort.of([(1, values)], 0.75).points
    assert (point.grad_norm, point.loss) == (3.0, 1.0)
    assert quantile_of([1.0], 0.3) == 1.0
    assert quantile_of([4.0, 1.0], 0.5) == 2.5


@pytest.mark.parametrize(("first", "last"), [(16, 16), (1, 3), (64, 40_000), (5, 4)])
def test_a_grid_has_its_ends_and_no_more_points_than_it_may(
    first: int, last: int
) -> None:
    found = grid(first, last)
    assert found == sorted(set(found))
    assert len(found) <= GRID
    if last >= first:
        assert (found[0], found[-1]) == (first, last)


def test_points_are_means_of_whole_blocks_of_what_counts() -> None:
    steps = [
        Observation(i, 4 * i, float(i), 1.0 if i != 3 else math.nan, 1e-3)
        for i in range(1, 40)
    ]
    points = points_of(steps)
    assert [p.samples_seen for p in points] == [64, 128]
    kept = [i for i in range(1, 17) if i != 3]
    assert points[0].loss == pytest.approx(sum(kept) / len(kept))
    assert points_of(steps[:15]) == []
