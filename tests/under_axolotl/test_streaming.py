"""Axolotl's streaming pre-training, whose data have no length."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def stream(tmp_path: Path) -> dict[str, Any]:
    """The keys of a streamed dataset in place of `datasets`."""
    draw = random.Random(0)
    words = "red blue green dog cat bird house tree".split()
    path = tmp_path / "texts.jsonl"
    texts = [" ".join(draw.choices(words, k=40)) for _ in range(200)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    dataset = {
        "path": "json",
        "data_files": [str(path)],
        "split": "train",
        "type": "pretrain",
        "text_column": "text",
    }
    return {"datasets": None, "pretraining_dataset": [dataset], "max_steps": 6}


def test_it_is_watched(
    train_axolotl: Callable[..., Any], stream: dict[str, Any]
) -> None:
    outcome = train_axolotl(**stream)
    assert outcome.trainer.state.global_step == 6
    assert outcome.run.status == "finished"
    assert [o.step for o in outcome.trace.observations] == [1, 2, 3, 4, 5, 6]
    assert all(o.measured for o in outcome.trace.observations)


def test_longest_first_has_no_effect_and_says_why(
    train_axolotl: Callable[..., Any],
    stream: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = train_axolotl(**stream, sftguide={"longest_first": True})
    assert outcome.trainer.state.global_step == 6
    assert "longest_first has no effect: a stream" in capsys.readouterr().out
