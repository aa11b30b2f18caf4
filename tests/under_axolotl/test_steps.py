"""Steps of a run by `check --data` and `plan --data`, and those of the training."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hosts import Outcome
from tiny import uneven_rows, write_rows

from axolotl_sftguide.cli import main

PACKED = {"sample_packing": True, "pad_to_sequence_len": True, "micro_batch_size": 1}


def told(command: str, config: Path) -> dict[str, Any]:
    done = CliRunner().invoke(main, [command, str(config), "--data", "--json"])
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(
    "settings",
    [
        {"micro_batch_size": 4, "num_epochs": 2.5},
        {"num_epochs": 2, **PACKED},
        {"num_epochs": 1, "sftguide": {"effective_batch_size": 16}, **PACKED},
    ],
    ids=["unpacked", "packed", "packed to a number of samples"],
)
def test_all_three_agree_on_data_with_dropped_and_held_out_rows(
    train_axolotl: Callable[..., Outcome],
    axolotl_config: Callable[..., dict[str, Any]],
    tmp_path: Path,
    settings: dict[str, Any],
) -> None:
    long = {"role": "assistant", "content": "word " * 200}
    lines = uneven_rows(300)
    for row in lines[::7]:
        row["messages"][1] = long  # Axolotl drops these rows
    rows = write_rows(tmp_path / "rows.jsonl", lines)
    given = {
        "datasets": [{"path": str(rows), "ds_type": "json", "type": "chat_template"}],
        "dataset_prepared_path": str(tmp_path / "prepared"),
        "gradient_accumulation_steps": 1,
        "max_steps": None,
        "val_set_size": 0.1,
        "eval_strategy": "no",
        **settings,
    }
    config = tmp_path / "mine.yml"
    config.write_text(yaml.safe_dump(axolotl_config(**given)))
    checked = told("check", config)
    said = re.search(r"([\d,]+) steps$", checked["summary"][3])
    assert said is not None, checked["summary"]
    steps = int(said[1].replace(",", ""))
    assert 10 < steps < 300
    assert told("plan", config)["batch"]["steps"] == steps
    outcome = train_axolotl(**given)
    trained = len(outcome.trainer.train_dataset)
    assert trained < 250
    assert f" {trained} rows" in checked["summary"][1]
    assert outcome.trainer.state.global_step == outcome.trainer.state.max_steps == steps
