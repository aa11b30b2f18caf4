"""The samples of a step are what was asked for: counted from the batches themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from forked import Forked
from hosts import Outcome
from tiny import uneven_rows, write_rows
from two_ranks import PLUGINS, train_on_two_ranks

PACKED = {"sample_packing": True, "pad_to_sequence_len": True, "sequence_len": 64}


def samples_of_steps(outcome: Outcome) -> list[int]:
    seen = [0, *(o.samples_seen for o in outcome.trace.observations)]
    return [after - before for before, after in pairwise(seen)]


def test_without_packing_each_step_holds_them_exactly(
    train_axolotl: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_axolotl(
        witness=True,
        gradient_accumulation_steps=None,
        sftguide={"effective_batch_size": 12},
        max_steps=5,
    )
    assert outcome.trainer.args.gradient_accumulation_steps == 6
    assert samples_of_steps(outcome) == [12] * 5
    assert outcome.witness.answers == 60
    said = capsys.readouterr().out
    assert (
        "effective batch size 12 = micro_batch_size 2 x 1 rank x 6 "
        "(gradient_accumulation_steps, derived)" in said
    )
    assert (
        "effective batch size: 12 requested, 12.0 samples per step (sd 0.0) trained"
        in said
    )


@pytest.mark.parametrize("wanted", [16, pytest.param(48, marks=pytest.mark.slow)])
def test_packed_steps_hold_them_on_average(
    train_axolotl: Callable[..., Outcome],
    tmp_path: Path,
    wanted: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", uneven_rows(1000))
    outcome = train_axolotl(
        witness=True,
        datasets=[{"path": str(rows), "ds_type": "json", "type": "chat_template"}],
        dataset_prepared_path=str(tmp_path / "prepared"),
        gradient_accumulation_steps=None,
        micro_batch_size=1,
        max_steps=None,
        num_epochs=1,
        sftguide={"effective_batch_size": wanted},
        **PACKED,
    )
    steps = samples_of_steps(outcome)
    assert len(steps) >= 20
    accumulated = outcome.trainer.args.gradient_accumulation_steps
    whole = mean(steps[:-1])  # what the data leave over is a step too
    a_micro_step = whole / accumulated
    assert abs(whole - wanted) <= max(a_micro_step / 2, 0.01 * wanted) * 1.05
    assert sum(steps) == outcome.witness.answers
    assert outcome.trainer.state.max_steps == outcome.trainer.state.global_step
    said = capsys.readouterr().out
    assert f"effective batch size {wanted} (as set): " in said
    assert f"packed x {accumulated} (gradient_accumulation_steps, derived)" in said
    told = re.search(rf"effective batch size: {wanted} requested, (\S+) samples", said)
    assert told is not None
    assert float(told[1]) == pytest.approx(mean(steps), abs=0.06)


def test_auto_takes_the_evidence_and_names_it(
    train_axolotl: Callable[..., Outcome],
    adapter: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = train_axolotl(
        gradient_accumulation_steps=None,
        sftguide={"effective_batch_size": "auto"},
        adapter="lora",
        lora_model_dir=str(adapter),
        lora_r=4,
        lora_alpha=8,
        lora_target_modules=["q_proj", "v_proj"],
        max_steps=3,
    )
    assert samples_of_steps(outcome) == [16] * 3
    assert "arXiv 2305.14314" in capsys.readouterr().out


def test_a_schedule_and_its_warm_up_follow_the_derived_steps(
    train_axolotl: Callable[..., Outcome], data: Path, tmp_path: Path
) -> None:
    rows = len(data.read_text().splitlines())
    outcome = train_axolotl(
        gradient_accumulation_steps=None,
        max_steps=None,
        num_epochs=1,
        warmup_steps=None,
        warmup_ratio=0.5,
        lr_scheduler="linear",
        sftguide={"effective_batch_size": "auto"},
    )
    steps = -(-rows // min(rows, 32))
    assert outcome.trainer.state.max_steps == steps
    assert outcome.trainer.args.warmup_steps == pytest.approx(steps // 2, abs=1)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            {"sftguide": {"effective_batch_size": 13}},
            "must be a multiple of micro_batch_size 2 x 1 rank = 2, got 13. Nearest: "
            "12 or 14",
        ),
        (
            {"sftguide": {"effective_batch_size": 8}, "gradient_accumulation_steps": 3},
            "gradient_accumulation_steps: must be 4 to agree with "
            "sftguide.effective_batch_size, got 3",
        ),
        (
            {"sftguide": {"effective_batch_size": 8}, "batch_size": 8},
            "batch_size: cannot be combined with sftguide.effective_batch_size",
        ),
        (
            {"sftguide": {"effective_batch_size": 100_000}},
            "must be at most the",
        ),
        (
            {"sftguide": {"effective_batch_size": 100_000}, **PACKED},
            "must be at most the",
        ),
        ({"sftguide": {"effective_batch_size": "big"}}, "effective_batch_size"),
        (
            {"sftguide": {"effective_batch_size": 0}},
            "must be at least 1 or 'auto', got 0",
        ),
    ],
)
def test_an_impossible_batch_size_gets_a_one_line_error_with_a_remedy(
    train_axolotl: Callable[..., Outcome], overrides: dict[str, Any], says: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        train_axolotl(**{"gradient_accumulation_steps": None, **overrides})
    assert says in str(caught.value.code)
    assert all(
        line.startswith("sftguide: ") for line in str(caught.value.code).splitlines()
    )


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_two_ranks_agree_and_share_the_batch(
    forked: Forked,
    axolotl_config: Callable[..., dict[str, Any]],
    uneven_data: Path,
    tmp_path: Path,
    packed: bool,
) -> None:
    config = axolotl_config(
        datasets=[
            {"path": str(uneven_data), "ds_type": "json", "type": "chat_template"}
        ],
        dataset_prepared_path=str(tmp_path / "prepared"),
        sftguide={"effective_batch_size": 24},
        plugins=PLUGINS,
        gradient_accumulation_steps=None,
        micro_batch_size=1 if packed else 2,
        max_steps=None,
        num_epochs=1,
        **(PACKED if packed else {}),
    )
    told = train_on_two_ranks(forked, config, tmp_path)
    assert told[0]["accumulation"] == told[1]["accumulation"]
    steps = told[0]["steps"]
    assert steps == told[1]["steps"] >= 8
    a_step = sum(rank["answers"] for rank in told) / steps
    if packed:
        a_micro_step = a_step / told[0]["accumulation"]
        assert abs(a_step - 24) <= max(a_micro_step / 2, 0.24) * 1.1
    else:
        # 256 rows are 10 steps and a part of one.
        assert a_step == pytest.approx(24, rel=0.05)
        assert told[0]["accumulation"] == 6
