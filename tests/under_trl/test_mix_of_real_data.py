"""Knowledge and skills that people use, mixed and trained on by TRL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hosts import make_sft_trainer
from real_data import real_phases
from transformers import AutoTokenizer

from axolotl_sftguide import mix

pytestmark = pytest.mark.slow

BASE = Path(__file__).parents[2] / "recipes" / "quickstart" / "base"


@pytest.mark.parametrize("strategy", ["stacked", "phased"])
def test_trl_sees_the_rows_of_the_manifest_in_their_order(
    tmp_path: Path, strategy: str
) -> None:
    spec = {"phases": real_phases(tmp_path), "strategy": strategy}
    mixed = mix(spec, tmp_path / "mixes")
    with mixed.data.open() as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) == sum(part.rows for part in mixed.manifest.parts) > 30_000
    trainer, witness = make_sft_trainer(
        BASE,
        mixed.data,
        tmp_path,
        witness=True,
        train_sampling_strategy="sequential",
        assistant_only_loss=False,
        max_length=512,
        max_steps=20,
        per_device_train_batch_size=4,
    )
    trainer.train()
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    wanted = [
        tokenizer.apply_chat_template(row["messages"], return_dict=False)[:512]
        for row in rows[:160]
    ]
    assert witness.rows == wanted
