"""Knowledge and skills that people use, mixed and trained on by Axolotl."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hosts import Outcome
from real_data import real_phases
from transformers import AutoTokenizer

from axolotl_sftguide.mixing import verify

pytestmark = pytest.mark.slow

BASE = Path(__file__).parents[2] / "recipes" / "quickstart" / "base"


@pytest.mark.parametrize("strategy", ["stacked", "phased"])
def test_axolotl_sees_the_rows_of_the_manifest_in_their_order(
    train_axolotl: Callable[..., Outcome], tmp_path: Path, strategy: str
) -> None:
    outcome = train_axolotl(
        witness=True,
        base_model=str(BASE),
        datasets=None,
        sftguide={"mix": {"phases": real_phases(tmp_path), "strategy": strategy}},
        dataset_prepared_path=str(tmp_path / "prepared"),
        sequence_len=512,
        max_steps=20,
        micro_batch_size=4,
    )
    path = Path(outcome.trainer.axolotl_cfg.datasets[0]["path"])
    manifest = json.loads((path.parent / "manifest.json").read_text())
    with path.open() as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) == sum(part["rows"] for part in manifest["parts"]) > 30_000
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    wanted = [
        tokenizer.apply_chat_template(row["messages"], return_dict=False)
        for row in rows[:400]
    ]
    fits = [ids for ids in wanted if len(ids) <= 512]  # Axolotl drops longer ones
    assert len(outcome.witness.rows) == 160
    assert outcome.witness.rows == fits[:160]
    assert verify(path.parent) == []
