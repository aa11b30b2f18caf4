"""Samples of a step: the product that makes them, and the batch that evidence names."""

from __future__ import annotations

import random
import statistics

import pytest

from axolotl_sftguide.errors import SettingsError
from axolotl_sftguide.evidence import CLAIMS
from axolotl_sftguide.evidence.effective_batch import (
    accumulation,
    choose,
    nearest_accumulation,
    require_enough_rows,
)
from axolotl_sftguide.monitor.tally import Tally


def test_what_divides_is_accumulated() -> None:
    assert accumulation(64, 4, 2) == 8
    assert accumulation(8, 4, 2) == 1


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (
            100,
            "sftguide.effective_batch_size: must be a multiple of micro_batch_size 16 "
            "x 2 ranks = 32, got 100. Nearest: 96 or 128",
        ),
        (
            7,
            "sftguide.effective_batch_size: must be a multiple of micro_batch_size 16 "
            "x 2 ranks = 32, got 7. Nearest: 32",
        ),
    ],
)
def test_what_does_not_divide_names_the_nearest(samples: int, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        accumulation(samples, 16, 2)
    assert str(caught.value) == says
    (problem,) = caught.value.problems
    assert problem.path == "sftguide.effective_batch_size"
    assert says.lower().endswith(f". {problem.remedy}")


def test_packed_micro_steps_come_as_near_as_they_can() -> None:
    draw = random.Random(0)
    for _ in range(200):
        wanted, each = draw.randint(1, 5000), draw.uniform(0.5, 90)
        found = nearest_accumulation(wanted, each) * each
        assert abs(found - wanted) <= max(each / 2, each - wanted) + 1e-9


def test_more_than_there_are_is_refused_with_what_works() -> None:
    require_enough_rows(10, 10)
    with pytest.raises(SettingsError, match=r"at most the 10 rows .* Nearest: 10"):
        require_enough_rows(11, 10)


@pytest.mark.parametrize(
    ("rows", "training", "samples"),
    [
        (500, "full", 32),
        (5_000, "full", 128),
        (50_000, "full", 256),
        (900_000, "full", 3840),
        (500, "adapter", 16),
        (50_000, "adapter", 32),
        (900_000, "adapter", 32),
        (7, "full", 7),
        (7, "adapter", 7),
    ],
)
def test_auto_follows_the_evidence_for_the_setting(
    rows: int, training: str, samples: int
) -> None:
    choice = choose(rows, training)
    assert choice.samples == samples
    assert choice.claims
    for key in choice.claims:
        assert CLAIMS[key].setting.training in (training, "any")


def test_no_adapter_and_no_small_data_gets_thousands() -> None:
    for rows in range(1, 200_000, 777):
        assert choose(rows, "adapter").samples <= 64
        assert choose(rows, "full").samples <= 256


def test_the_tally_has_the_mean_and_the_spread() -> None:
    draw = random.Random(1)
    samples = [draw.randint(20, 40) for _ in range(500)]
    tally = Tally()
    for each in samples:
        tally.add(each)
    assert tally.mean == pytest.approx(statistics.mean(samples))
    assert tally.deviation == pytest.approx(statistics.pstdev(samples))
