"""TRL trains on a mix as it lies there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import load_dataset

from axolotl_sftguide import mix


def test_it_trains_on_the_rows_of_the_mix_in_their_order(
    train_trl: Callable[..., Any], data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    call = {"id": "1", "function": {"name": "add", "arguments": {"a": 1}}}
    special = [
        {"role": "user", "content": "valley"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "2", "tool_call_id": "1"},
        {"role": "assistant", "content": "river"},
    ]
    (tmp_path / "two.jsonl").write_text(json.dumps({"messages": special}) + "\n")
    phases = [
        {"name": "one", "datasets": [{"path": str(data)}]},
        {"name": "two", "datasets": [{"path": str(tmp_path / "two.jsonl")}]},
    ]
    mixed = mix({"phases": phases}, tmp_path / "mixes", workers=1)
    outcome = train_trl(
        data=mixed.data,
        train_sampling_strategy="sequential",
        output_dir=str(tmp_path / "out2"),
    )
    trainer = outcome.trainer
    assert trainer.state.global_step == 12
    rows = load_dataset("parquet", data_files=str(mixed.data), split="train")
    wanted = [
        trainer.processing_class.apply_chat_template(r["messages"], return_dict=False)
        for r in rows
    ]
    assert [row["input_ids"] for row in trainer.train_dataset] == [
        ids[:64] for ids in wanted
    ]
    first = next(iter(trainer.get_train_dataloader()))
    for ids, mask, expected in zip(
        first["input_ids"], first["attention_mask"], wanted, strict=False
    ):
        assert ids[mask.bool()].tolist() == expected[:64]
