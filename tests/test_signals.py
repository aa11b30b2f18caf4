"""Observations, windows and curves."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from axolotl_sftguide.signals import (
    Curve,
    Observation,
    Point,
    points_of,
    robust_scale,
    window_logs,
)
from axolotl_sftguide.signals.comparability import comparability_key
from axolotl_sftguide.units import count, duration, number, share

NAN = math.nan


def seen(step: int, loss: float = 1.0, norm: float = 1.0, **more: bool) -> Observation:
    return Observation(step, 8 * step, loss, norm, 1e-3, **more)


@pytest.mark.parametrize(
    ("loss", "norm", "finite"),
    [(1, 1, True), (NAN, 1, False), (1, math.inf, False), (0.0, NAN, False)],
)
def test_a_step_is_finite_where_loss_and_norm_are(
    loss: float, norm: float, finite: bool
) -> None:
    assert seen(1, loss, norm).finite is finite


def test_a_norm_that_nobody_knows_is_no_trouble() -> None:
    unknown = Observation(1, 8, 2.0, math.nan, 1e-3, measured=False)
    assert unknown.finite
    assert not Observation(1, 8, math.nan, math.nan, 1e-3, measured=False).finite


def test_a_window_has_mean_max_last_non_finite_and_samples() -> None:
    logs = window_logs([seen(1, norm=2.0), seen(2, norm=NAN), seen(3, norm=4.0)])
    assert logs == {
        "sftguide/grad_norm_last": 4.0,
        "sftguide/grad_norm_mean": 3.0,
        "sftguide/grad_norm_max": 4.0,
        "sftguide/nonfinite_steps": 1,
        "sftguide/samples_seen": 24,
    }


def test_a_window_without_a_finite_norm_has_no_mean() -> None:
    logs = window_logs([seen(1, norm=NAN)])
    assert "sftguide/grad_norm_mean" not in logs
    assert logs["sftguide/nonfinite_steps"] == 1


def test_an_empty_window_has_no_values() -> None:
    assert window_logs([]) == {}


def test_the_robust_scale_is_the_standard_deviation_of_normal_values() -> None:
    from statistics import NormalDist

    values = [NormalDist(3, 2).inv_cdf((i + 0.5) / 2000) for i in range(2000)]
    assert robust_scale(values) == pytest.approx(2.0, rel=0.01)
    assert robust_scale([*values, 1e9]) == pytest.approx(2.0, rel=0.01)


def ramp(blocks: int) -> Curve:
    """Losses and norms that rise by one a block: 1, 2, 3, ... at 128, 256, 384, ..."""
    steps = range(1, 16 * blocks + 1)
    blocks_of = [(i, 1.0 + (i - 1) // 16) for i in steps]
    return Curve.of("r", [seen(i, loss=x, norm=10 * x) for i, x in blocks_of])


def test_a_curve_is_a_line_between_its_points() -> None:
    curve = ramp(5)
    assert curve.at(256) == Point(256, 2.0, 20.0)
    assert curve.at(288) == Point(288, 2.25, 22.5)


@pytest.mark.parametrize(
    ("window", "loss"), [(2, 4.5), (16, 4.5), (32, 4.0), (48, 3.5), (64, 3.0)]
)
def test_a_curve_is_averaged_over_a_window_of_whole_points(
    window: int, loss: float
) -> None:
    point = ramp(6).at(128 * 4 + 64, window)
    assert point is not None
    assert point.loss == pytest.approx(loss)


def test_a_curve_has_no_value_before_its_window_is_full_and_after_its_end() -> None:
    curve = ramp(4)
    assert curve.at(127) is None
    assert curve.at(128) is not None
    assert curve.at(128 * 3 - 1, window=48) is None
    assert curve.at(128 * 3, window=48) is not None
    assert curve.at(128 * 4) is not None
    assert curve.at(128 * 4 + 1) is None
    assert Curve("empty", ()).at(5) is None


def test_a_curve_leaves_out_what_is_not_finite_or_not_measured() -> None:
    steps = [seen(1), seen(2, NAN), seen(3, 9.0, measured=False)]
    steps += [seen(i) for i in range(4, 17)]
    assert Curve.of("r", steps).points == (Point(128, 1.0, 1.0),)


def test_where_samples_are_not_counted_a_curve_is_read_at_its_end() -> None:
    points = tuple(Point(0, float(i), 1.0) for i in range(1, 4))
    assert Curve("r", points).at(0) == points[-1]


def test_a_norm_at_another_batch_has_another_share_of_its_noise() -> None:
    point = Point(64, 1.0, 5.0, 16.0)
    assert point.at_batch(0.25) == Point(64, 1.0, math.sqrt(9 + 4), 16.0)
    assert point.at_batch(2.0) == Point(64, 1.0, math.sqrt(9 + 32), 16.0)
    assert point.at_batch(1.0) == point
    assert Point(64, 1.0, 5.0).at_batch(0.25) is None


def test_noise_that_is_more_than_the_whole_norm_leaves_none() -> None:
    assert Point(64, 1.0, 2.0, 16.0).at_batch(0.25).grad_norm == 0.0  # type: ignore[union-attr]


def test_a_curve_keeps_the_mean_noise_of_the_steps_it_was_measured_on() -> None:
    steps = [
        replace(seen(i), grad_noise=float(i) if i % 4 == 1 else None)
        for i in range(1, 33)
    ]
    assert [p.grad_noise for p in points_of(steps)] == [7.0, 23.0]
    assert points_of([seen(i) for i in range(1, 17)])[0].grad_noise is None


def test_a_curve_of_another_batch_size_is_read_at_the_candidates() -> None:
    points = (Point(64, 1.0, 5.0, 16.0), Point(128, 1.0, 5.0, 16.0))
    read = Curve("r", points, batch_ratio=0.25).at(96)
    assert read == Point(96, 1.0, math.sqrt(9 + 4), 16.0)
    unmeasured = (*points, Point(192, 1.0, 5.0))
    assert Curve("r", unmeasured, batch_ratio=0.25).at(150) is None


def test_the_key_does_not_depend_on_the_order_of_its_fields() -> None:
    assert comparability_key({"a": 1, "b": [2]}) == comparability_key(
        {"b": [2], "a": 1}
    )


def test_the_key_changes_with_every_field() -> None:
    fields = {"host": "trl", "data": {"rows": 3}, "max_grad_norm": 1.0, "adapter": None}
    keys = {comparability_key(fields | {name: "other"}) for name in fields}
    assert len(keys | {comparability_key(fields)}) == 5


def test_numbers_are_written_for_people() -> None:
    assert [number(x) for x in (None, NAN, math.inf, -math.inf, 0.00012345)] == [
        "-",
        "NaN",
        "inf",
        "-inf",
        "0.0001234",
    ]
    assert [count(None), count(1234567)] == ["-", "1,234,567"]
    assert [duration(x) for x in (None, 42, 190, 7500, 270000)] == [
        "-",
        "42s",
        "3m 10s",
        "2h 05m",
        "3d 3h",
    ]
    assert [share(1, 3), share(1, 0)] == ["33%", "-"]
