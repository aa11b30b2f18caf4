"""Predicted scores: the line, Student's t, and the rule that stops by them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from loss_curves import run

from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.signals.comparability import Candidate, forecast_key
from axolotl_sftguide.signals.forecast import (
    LOOKS,
    WINDOW,
    Forecast,
    earlier_run,
    in_worst,
)
from axolotl_sftguide.signals.regression import Line
from axolotl_sftguide.stopping.backtest import RulesPolicy, backtest
from axolotl_sftguide.stopping.baselines import RecordedRun, RecordedRuns, baselines
from axolotl_sftguide.stopping.rules import Prediction, Verdict, fold

STEPS = 320
FIELDS = {
    "host": "trl",
    "loss_normalisation": "token mean",
    "base_model": "base",
    "revision": None,
    "data": {"rows": 10, "digest": "abc"},
    "micro_batch_size": 4,
}


def test_nineteen_of_twenty_new_points_lie_in_their_interval() -> None:
    draw, inside = random.Random(1), 0
    for _ in range(2000):
        xs = [draw.gauss(0, 1) for _ in range(7)]
        points = [1 - 2 * x + draw.gauss(0, 0.3) for x in xs]
        line = Line.fit(xs[:6], points[:6])
        assert line is not None
        low, high = line.interval(xs[6])
        inside += low <= points[6] <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_too_few_or_equal_points_give_no_line() -> None:
    assert Line.fit([1, 2, 3], [1, 2, 3]) is None
    assert Line.fit([1, 1, 1, 1], [1, 2, 3, 4]) is None


def losses(floor: float, seed: int, scale: float = 1.0) -> list[float]:
    draw = random.Random(seed)
    levels = (floor + (2.8 - floor) * math.exp(-i / 30) for i in range(STEPS))
    return [scale * level * math.exp(draw.gauss(0, 0.05)) for level in levels]


def recorded(
    floor: float, seed: int, *, score: float | None = None, scale: float = 1.0
) -> RecordedRun:
    """A run whose score is nearly 1 minus its final loss."""
    value = 1 - floor + random.Random(seed).gauss(0, 0.02) if score is None else score
    steps = tuple(run(losses(floor, seed, scale)))
    return RecordedRun(f"r{seed}", f"r{seed}", value, steps, "exact match")


def forecast(runs: Sequence[RecordedRun]) -> Forecast:
    earlier = tuple(earlier_run(r.id, r.score, r.curve.points, r.setting) for r in runs)
    return Forecast(earlier, "exact match")


def rule(runs: Sequence[RecordedRun]) -> Prediction:
    s = EarlyTerminationSettings().prediction
    return Prediction(forecast(runs), STEPS, s.chance, s.worst, s.looks)


def verdict_on(floor: float, runs: Sequence[RecordedRun], seed: int) -> Verdict | None:
    return fold(rule(runs), run(losses(floor, seed)))


GOOD = [recorded(0.4 + 0.05 * i, i) for i in range(8)]


def test_a_run_far_behind_is_found_at_the_second_look_with_figures() -> None:
    verdict = verdict_on(1.6, GOOD, 99)
    assert verdict is not None
    assert verdict.step == round(0.2 * STEPS)
    assert verdict.certain
    best = max(r.score for r in GOOD)
    assert verdict.figures["best"] == best
    assert verdict.figures["low"] < verdict.figures["predicted"] < best
    assert "predicted exact match -0." in verdict.reason
    assert "by 8 finished runs; the best of them has" in verdict.reason


def test_the_best_run_and_one_like_the_others_are_not() -> None:
    assert verdict_on(0.35, GOOD, 98) is None
    assert verdict_on(0.55, GOOD, 97) is None


@pytest.mark.parametrize("steps", [30, 47, 63, 64, 96, 128, 176, 320, 1000])
def test_a_stored_curve_has_the_loss_of_its_run_at_each_look(steps: int) -> None:
    """Of a short run a few means over 16 steps are stored, or each of fewer steps."""
    levels = [0.5 + 2 * math.exp(-6 * i / steps) for i in range(steps)]
    own = recorded(0.4, 1)
    own = replace(own, observations=tuple(run(levels)))
    found = earlier_run("r", 1.0, own.curve.points).losses
    read = 0
    for look, loss in zip(LOOKS, found, strict=True):
        end = round(look * steps)
        recent = levels[max(0, end - max(1, round(WINDOW * steps))) : end]
        true = math.fsum(recent) / len(recent)
        if math.isfinite(loss):
            read += 1
            assert loss == pytest.approx(true, rel=0.12 if steps >= 96 else 0.2)
    few = {64: 7, 96: 7, 128: 10}
    assert read >= few.get(steps, 11)


@pytest.mark.parametrize("steps", [20, 47])
def test_a_run_of_few_steps_is_predicted_by_runs_of_as_few(steps: int) -> None:
    def short(floor: float, seed: int) -> RecordedRun:
        draw = random.Random(seed)
        levels = (
            floor + (2.8 - floor) * math.exp(-8 * i / steps) for i in range(steps)
        )
        noisy = [level * math.exp(draw.gauss(0, 0.01)) for level in levels]
        return RecordedRun(f"r{seed}", f"r{seed}", 1 - floor, tuple(run(noisy)))

    earlier = [short(0.4 + 0.05 * i, i) for i in range(8)]
    judge = replace(rule(earlier), max_steps=steps)
    found = fold(judge, short(1.6, 99).observations)
    assert found is not None
    assert found.step <= math.ceil(0.3 * steps)
    assert fold(judge, short(0.42, 98).observations) is None


def test_three_earlier_runs_say_nothing() -> None:
    assert verdict_on(2.5, GOOD[:3], 99) is None


def test_repeats_of_three_settings_say_nothing() -> None:
    repeats = [replace(r, setting=f"s{i // 3}") for i, r in enumerate(GOOD)]
    assert verdict_on(2.5, repeats, 99) is None
    resumed = [replace(r, setting=f"s{i // 2}") for i, r in enumerate(GOOD)]
    verdict = verdict_on(2.5, resumed, 99)
    assert verdict is not None
    assert "by 8 finished runs of 4 settings; the best" in verdict.reason


def test_with_repeats_a_prediction_is_as_unsure_as_by_so_many_settings() -> None:
    draw = random.Random(3)
    inside = {None: 0, 5: 0}
    for _ in range(2000):
        xs = [draw.gauss(0, 1) for _ in range(5)]
        # What a setting has that its loss does not show is the same in its repeats.
        own = [-x + draw.gauss(0, 0.5) for x in xs]
        pairs = [(x, y + draw.gauss(0, 0.1)) for x, y in zip(xs, own, strict=True)] * 4
        new = draw.gauss(0, 1)
        score = -new + draw.gauss(0, 0.5) + draw.gauss(0, 0.1)
        for settings in inside:
            line = Line.fit([p[0] for p in pairs], [p[1] for p in pairs], settings)
            assert line is not None
            low, high = line.interval(new)
            inside[settings] += low <= score <= high
    assert inside[5] / 2000 == pytest.approx(0.95, abs=0.015)
    assert inside[None] / 2000 < 0.9


def test_where_a_lower_loss_goes_with_a_worse_score_nothing_is_found() -> None:
    upside_down = [replace(r, score=-r.score) for r in GOOD]
    assert verdict_on(1.6, upside_down, 99) is None
    assert verdict_on(0.1, upside_down, 96) is None


def test_scores_that_are_noise_stop_at_most_one_run_in_a_hundred() -> None:
    found = 0
    for seed in range(100):
        draw = random.Random(seed)
        runs = [
            recorded(0.4 + 0.05 * draw.random(), 100 * seed + i, score=draw.gauss(0, 1))
            for i in range(8)
        ]
        found += verdict_on(0.4 + 0.05 * draw.random(), runs, 7000 + seed) is not None
    assert found <= 1


def test_losses_on_another_scale_are_not_compared() -> None:
    """As where the micro batches are summed: the same run, four times the loss."""
    assert fold(rule(GOOD), run(losses(0.4, 95, scale=4.0))) is None


def test_scores_of_which_lower_is_better_are_shown_as_they_are() -> None:
    negated = replace(forecast(GOOD), metric="eval_loss", sign=-1.0)
    found = replace(rule(GOOD), forecast=negated)
    verdict = fold(found, run(losses(1.6, 99)))
    assert verdict is not None
    assert verdict.figures["low"] < verdict.figures["high"]
    assert verdict.figures["predicted"] > verdict.figures["best"]
    assert "predicted eval_loss" in verdict.reason


@pytest.mark.parametrize("share", [1 / 3, 0.3333])
@pytest.mark.parametrize("finished", [4, 6, 9, 12, 30])
def test_the_worst_third_holds_a_third_of_any_number_of_runs(
    finished: int, share: float
) -> None:
    ranks = [lower / finished for lower in range(finished + 1)]
    beaten = [rank for rank in ranks if in_worst(rank, share)]
    assert beaten[0] == math.ceil(2 * finished / 3) / finished


def test_a_run_with_a_log_every_tenth_step_is_judged_at_the_same_shares() -> None:
    sparse = [o for o in run(losses(1.6, 99)) if o.step % 10 == 0]
    verdict = fold(rule(GOOD), sparse)
    assert verdict is not None
    assert 0.2 <= verdict.step / STEPS <= 0.25


def test_after_the_last_look_nothing_is_found() -> None:
    late: list[Observation] = run(losses(1.6, 99))[round(0.7 * STEPS) :]
    assert fold(rule(GOOD), late) is None


def test_the_rule_follows_the_common_action() -> None:
    runs = [*GOOD, recorded(1.6, 99)]
    stop = RulesPolicy("stop", EarlyTerminationSettings(action="stop"))
    found = backtest(runs, stop, orders=20)
    assert found.best_kept == 1
    assert found.steps_saved > 0.01
    warn = RulesPolicy("warn", EarlyTerminationSettings())
    assert backtest(runs, warn, orders=5).stopped == 0


def test_runs_in_memory_give_the_forecast_of_their_curves() -> None:
    candidate = Candidate("", "", without="new")
    compared = baselines(candidate, RecordedRuns(GOOD), EarlyTerminationSettings())
    assert compared.forecast == forecast(GOOD)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"micro_batch_size": 8}, True),
        ({"trainable_parameters": 5}, True),
        ({"base_model": "other"}, False),
        ({"data": {"rows": 10, "digest": "xyz"}}, False),
        ({"loss_normalisation": "mean over micro batches"}, False),
        ({"objective": "preference"}, False),
    ],
)
def test_runs_of_one_base_and_data_predict_each_other(
    changed: dict[str, object], same: bool
) -> None:
    assert (forecast_key(FIELDS) == forecast_key({**FIELDS, **changed})) is same


def test_unknown_data_predict_nothing() -> None:
    unknown = {**FIELDS, "data": {"rows": None, "digest": None}}
    assert forecast_key(unknown) is None
