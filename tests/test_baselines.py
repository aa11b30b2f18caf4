"""What a run is compared with: one contract, over curves in SQL and in memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from loss_curves import learning, run
from runs import run_row

from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.config.settings import early_termination_settings
from axolotl_sftguide.runs.history import RunHistory, Score
from axolotl_sftguide.signals import Point, points_of
from axolotl_sftguide.signals.cohort import quantile_of
from axolotl_sftguide.signals.comparability import Candidate
from axolotl_sftguide.stopping.baselines import (
    Baselines,
    Curves,
    RecordedRun,
    RecordedRuns,
    baselines,
)

Made = Callable[[Sequence[RecordedRun]], Curves]
CANDIDATE = Candidate("s", "k", without="candidate")


def recorded(name: str, score: float, steps: int = 160, first: int = 1) -> RecordedRun:
    draw = random.Random(name)
    losses = learning(steps, seed=draw.randrange(100))
    norms = [1 + draw.random() for _ in losses]
    observations = run(losses, norms)[first - 1 :]
    return RecordedRun(name, f"name-{name}", score, tuple(observations), key="k")


def in_sql(history: RunHistory, runs: Sequence[RecordedRun]) -> RunHistory:
    for started_at, own in enumerate(runs, start=1):
        row = run_row(
            own.id,
            name=own.name,
            started_at=float(started_at),
            max_steps=own.steps,
            config={"learning_rate": own.setting or own.id, "seed": own.id},
        )
        history.begin(row)
        history.add_points(own.id, points_of(own.observations, own.curve.every))
        history.add_score(own.id, Score("m", own.score, "max"))
        history.end(own.id, "finished")
    return history


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def made(request: Any, tmp_path: Path) -> Iterator[Made]:
    """Makes each kind of curves from finished runs, oldest first."""
    if request.param == "memory":
        yield RecordedRuns
        return
    storage = str(tmp_path / "curves.db")
    if request.param == "postgresql":
        storage = request.getfixturevalue("postgres").new_database()
    history = RunHistory(storage)
    yield lambda runs: in_sql(history, runs)
    history.close()


def settings(which: str = "best", quantile: float = 0.5) -> EarlyTerminationSettings:
    return early_termination_settings(
        comparison={"reference": which}, cohort={"quantile": quantile}
    )


def compared(curves: Curves, **chosen: Any) -> Baselines:
    return baselines(CANDIDATE, curves, settings(**chosen))


def test_without_finished_runs_there_is_nothing_to_compare_with(made: Made) -> None:
    assert compared(made([])) == Baselines(None, None)


def test_a_run_is_not_compared_with_itself(made: Made) -> None:
    assert compared(made([recorded("candidate", 0.9)])) == Baselines(None, None)


def test_the_reference_is_the_run_with_the_best_score(made: Made) -> None:
    runs = [recorded("a", 0.4), recorded("b", 0.8), recorded("candidate", 0.9)]
    reference = compared(made(runs)).reference
    assert reference is not None
    assert reference.run_id == "b"
    assert list(reference.points) == points_of(runs[1].observations)
    assert (reference.batch_ratio, reference.batch_size) == (1.0, None)


def test_of_equal_scores_the_oldest_run_is_the_reference(made: Made) -> None:
    runs = [recorded(name, 0.5) for name in ("z", "a", "m")]
    reference = compared(made(runs)).reference
    assert reference is not None
    assert reference.run_id == "z"


@pytest.mark.parametrize("which", ["a", "name-a"])
def test_a_reference_is_named_by_its_id_or_its_name(made: Made, which: str) -> None:
    reference = compared(
        made([recorded("a", 0.1), recorded("b", 0.9)]), which=which
    ).reference
    assert reference is not None
    assert reference.run_id == "a"


def test_an_unknown_name_is_no_reference(made: Made) -> None:
    assert compared(made([recorded("a", 0.1)]), which="other").reference is None


def test_a_run_that_ends_before_its_first_point_is_no_reference(made: Made) -> None:
    assert compared(made([recorded("a", 0.1, steps=70, first=66)])) == Baselines(
        None, None
    )


@pytest.mark.parametrize("quantile", [0.5, 0.75])
def test_the_cohort_holds_the_quantiles_of_all_runs(
    made: Made, quantile: float
) -> None:
    runs = [recorded(f"r{i}", i / 10) for i in range(5)]
    cohort = compared(made([*runs, recorded("candidate", 1.0)]), quantile=quantile)
    assert cohort.cohort is not None
    for at in cohort.cohort.samples_seen:
        read = cohort.cohort.at(at)
        points = [own.curve.at(at) for own in runs]
        assert read is not None
        assert read.peers == 5
        norms = [point.grad_norm for point in points if point is not None]
        losses = [point.loss for point in points if point is not None]
        assert read.grad_norm == pytest.approx(quantile_of(norms, quantile))
        assert read.loss == pytest.approx(quantile_of(losses, 1 - quantile))


def test_a_shorter_run_is_no_peer_beyond_its_end(made: Made) -> None:
    cohort = compared(
        made([recorded("a", 0.1), recorded("short", 0.9, steps=80)])
    ).cohort
    assert cohort is not None
    assert [cohort.at(at).peers for at in (128, 600, 1280)] == [2, 2, 1]  # type: ignore[union-attr]


def test_the_reference_and_a_cohort_of_it_alone_read_the_same_curve(
    made: Made,
) -> None:
    found = compared(made([recorded("a", 0.5)]))
    assert found.reference is not None
    assert found.cohort is not None
    for at in found.cohort.samples_seen:
        one, other = found.reference.at(at), found.cohort.at(at)
        assert one is not None
        assert other is not None
        assert (one.loss, one.grad_norm) == (
            pytest.approx(other.loss),
            pytest.approx(other.grad_norm),
        )


def test_signals_that_do_not_predict_the_score_cast_doubt_on_the_cohort(
    made: Made,
) -> None:
    cohort = compared(made([recorded(f"r{i}", 0.5) for i in range(6)])).cohort
    assert cohort is not None
    assert cohort.doubt is not None


def test_curves_are_read_where_each_run_has_them(made: Made) -> None:
    curves = made([recorded("a", 0.5), recorded("late", 0.5, first=33)])
    read = list(curves.at([8, 128, 200, 384, 1281], ["a", "late"]))
    assert [sorted(points) for points in read] == [[], ["a"], ["a"], ["a", "late"], []]
    left, right = curves.points("a")[0:2]
    share = (200 - 128) / 128
    assert read[2]["a"].loss == pytest.approx(
        left.loss + share * (right.loss - left.loss)
    )
    assert read[1]["a"] == Point(128, left.loss, left.grad_norm)


def test_a_span_reaches_from_the_first_point_to_the_last(made: Made) -> None:
    curves = made([recorded("a", 0.5, steps=80), recorded("b", 0.5, first=33)])
    assert curves.span(["a", "b"]) == (128, 1280)
    assert curves.span(["a"]) == (128, 640)
    assert curves.span([]) is None


def test_peers_come_oldest_first(made: Made) -> None:
    runs = [recorded(name, 0.5) for name in ("z", "a", "candidate", "m")]
    peers = made(runs).peers(CANDIDATE)
    assert [peer.id for peer in peers] == ["z", "a", "m"]
    assert all(one.score == two.score for one, two in pairwise(peers))


def test_repeats_of_a_setting_are_one_run_of_the_cohort(made: Made) -> None:
    runs = [
        replace(recorded(f"r{i}", 0.1 * i), setting=f"s{i // 2}") for i in range(12)
    ]
    cohort = compared(made(runs)).cohort
    assert cohort is not None
    assert {point.peers for point in cohort.points} == {6}
    assert cohort.doubt is not None
    assert "6 settings" in cohort.doubt
    at = [run.curve.at(cohort.samples_seen[5]) for run in runs]
    losses = [point.loss for point in at if point is not None]
    means = [fmean(losses[i : i + 2]) for i in range(0, 12, 2)]
    assert cohort.points[5].loss == pytest.approx(quantile_of(means, 0.5))


@pytest.mark.parametrize(("each", "predicts"), [(4, False), (1, True)])
def test_four_repeats_of_a_setting_predict_no_score(
    made: Made, each: int, predicts: bool
) -> None:
    runs = [recorded(f"r{i}", 0.1 * i) for i in range(4)]
    runs = [replace(run, setting=f"s{i // each}") for i, run in enumerate(runs)]
    assert (compared(made(runs)).forecast is not None) is predicts
