"""The loss of each source equals that of its samples, one by one, under Axolotl."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from by_source import SOURCES, losses, rows_of_parts, tokenised, write_stacked
from same_bits import assert_same_bits
from transformers.loss import loss_utils

from axolotl_sftguide.signals.sources import (
    HELD_OUT_EVENT,
    TRAINING_EVENT,
    read_events,
    total,
)

BY_SOURCE = {"loss_by_source": "source", "loss_by_source_every": 1}
WHOLE_EPOCH = {
    "num_epochs": 1,
    "max_steps": None,
    "learning_rate": 1e-30,
    "logging_steps": 7,
}
"""Weights stay as they are, so that the losses can be computed again afterwards."""

OURS = "axolotl_sftguide.SFTGuidePlugin"
ARMS: dict[str, dict[str, Any]] = {
    "padded": {},
    "padded to the whole length": {"pad_to_sequence_len": True},
    "packed": {"sample_packing": True, "sequence_len": 128},
    "packed, all tokens trained": {"sample_packing": True, "sequence_len": 128},
    "fused": {"plugins": [OURS, "fused_plugin.FusedPlugin"]},
    "fused, packed": {
        "plugins": [OURS, "fused_plugin.FusedPlugin"],
        "sample_packing": True,
        "sequence_len": 128,
    },
    "cut": {"sequence_len": 24, "excess_length_strategy": "truncate"},
}


@pytest.fixture(scope="session")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stacked(tmp_path_factory.mktemp("stacked") / "rows.jsonl")


def datasets(path: Path, **more: Any) -> list[dict[str, Any]]:
    return [{"path": str(path), "ds_type": "json", "type": "chat_template", **more}]


@pytest.mark.slow
def test_a_chunked_loss_has_the_same_losses(
    train_axolotl: Callable[..., Any],
    stacked: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Axolotl replaces the loss of all models in this process.
    monkeypatch.setattr(loss_utils, "ForCausalLMLoss", loss_utils.ForCausalLMLoss)
    monkeypatch.setattr(loss_utils, "LOSS_MAPPING", dict(loss_utils.LOSS_MAPPING))
    runs = [
        train_axolotl(
            datasets=datasets(stacked),
            output_dir=str(tmp_path / name),
            sftguide={"monitor": BY_SOURCE},
            sample_packing=True,
            sequence_len=128,
            chunked_cross_entropy=chunked,
            **WHOLE_EPOCH,
        )
        for name, chunked in (("plain", None), ("chunked", True))
    ]
    plain, chunked = (
        total(read_events(run.trace.events, TRAINING_EVENT)) for run in runs
    )
    assert plain is not None
    assert chunked is not None
    assert chunked.tokens == plain.tokens
    assert chunked.loss == pytest.approx(plain.loss, rel=2e-5)


@pytest.mark.parametrize("arm", ARMS)
def test_each_source_has_the_loss_of_its_samples(
    train_axolotl: Callable[..., Any], stacked: Path, tmp_path: Path, arm: str
) -> None:
    all_tokens = {"train_on_inputs": True, "roles_to_train": ["user", "assistant"]}
    outcome = train_axolotl(
        datasets=datasets(stacked, **(all_tokens if "all tokens" in arm else {})),
        dataset_prepared_path=str(tmp_path / "prepared"),
        sftguide={"monitor": BY_SOURCE},
        **{**WHOLE_EPOCH, **ARMS[arm]},
    )
    trainer = outcome.trainer
    samples = [(row["input_ids"], row["labels"]) for row in trainer.train_dataset]
    whole = tokenised(stacked, trainer.processing_class)
    length = ARMS[arm].get("sequence_len", 64)
    rows = rows_of_parts(samples, whole, length)
    expected, tokens = losses(trainer.model, rows)
    found = total(read_events(outcome.trace.events, TRAINING_EVENT))
    assert found is not None
    assert set(tokens) == set(SOURCES)
    assert found.tokens == tokens
    assert found.unknown_tokens == 0
    assert found.loss == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("arm", ["padded", "packed", "fused"])
def test_a_run_with_loss_by_source_is_the_run_without_it(
    train_axolotl: Callable[..., Any], stacked: Path, tmp_path: Path, arm: str
) -> None:
    settings = {"datasets": datasets(stacked), **ARMS[arm], "max_steps": 8}
    plugins = settings.pop("plugins", [OURS])
    unwatched = train_axolotl(
        plugins=plugins[1:], output_dir=str(tmp_path / "a"), **settings
    )
    watched = train_axolotl(
        plugins=plugins,
        output_dir=str(tmp_path / "b"),
        sftguide={"monitor": BY_SOURCE},
        **settings,
    )
    assert_same_bits(unwatched, watched)
    assert any(key.startswith("sftguide/loss/") for key in watched.logs[0])


def test_a_held_out_part_has_a_loss_for_each_source(
    train_axolotl: Callable[..., Any], stacked: Path, tmp_path: Path
) -> None:
    outcome = train_axolotl(
        datasets=datasets(stacked),
        dataset_prepared_path=str(tmp_path / "prepared"),
        val_set_size=0.2,
        eval_steps=4,
        sftguide={"monitor": BY_SOURCE},
    )
    evaluations = read_events(outcome.trace.events, HELD_OUT_EVENT)
    assert [found.step for found in evaluations] == [0, 4, 8, 12]
    trainer = outcome.trainer
    samples = [(row["input_ids"], row["labels"]) for row in trainer.eval_dataset]
    whole = tokenised(stacked, trainer.processing_class)
    expected, tokens = losses(trainer.model, rows_of_parts(samples, whole, 64))
    assert evaluations[-1].tokens == tokens
    assert evaluations[-1].loss == pytest.approx(expected, rel=2e-5)


def test_datasets_without_the_column_are_sources_of_their_own(
    train_axolotl: Callable[..., Any], stacked: Path, data: Path, tmp_path: Path
) -> None:
    outcome = train_axolotl(
        datasets=[*datasets(stacked), *datasets(data)],
        dataset_prepared_path=str(tmp_path / "prepared"),
        sftguide={"monitor": BY_SOURCE},
    )
    found = total(read_events(outcome.trace.events, TRAINING_EVENT))
    assert found is not None
    assert set(found.tokens) == {*SOURCES, data.stem}


def test_a_column_that_no_dataset_has_costs_only_the_loss_by_source(
    train_axolotl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    block = {"monitor": {"loss_by_source": "topic"}}
    outcome = train_axolotl(sftguide=block)
    assert "no dataset has a column 'topic'" in capsys.readouterr().out
    assert len(outcome.trace.observations) == 12


def test_the_phases_of_a_mix_are_sources(
    train_axolotl: Callable[..., Any], stacked: Path, data: Path, tmp_path: Path
) -> None:
    phases = [
        {"name": name, "datasets": [{"path": str(path)}]}
        for name, path in (("first", stacked), ("second", data))
    ]
    outcome = train_axolotl(
        datasets=None,
        dataset_prepared_path=str(tmp_path / "prepared"),
        sftguide={
            "mix": {"phases": phases},
            "monitor": {**BY_SOURCE, "loss_by_source": "phase"},
        },
    )
    found = total(read_events(outcome.trace.events, TRAINING_EVENT))
    assert found is not None
    assert set(found.tokens) == {"first", "second"}
    assert found.unknown_tokens == 0
