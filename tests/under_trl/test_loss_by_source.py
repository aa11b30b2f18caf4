"""The loss of each source equals that of its samples, one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from by_source import losses_by_sample, write_stacked
from hosts import Outcome, make_sft_trainer
from same_bits import assert_same_bits

from axolotl_sftguide import watch
from axolotl_sftguide.signals.sources import TRAINING_EVENT, read_events


@pytest.fixture(scope="session")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stacked(tmp_path_factory.mktemp("stacked") / "rows.jsonl")


@pytest.fixture
def train(base: Path, stacked: Path, tmp_path: Path) -> Callable[..., Outcome]:
    """Trains on the stacked rows; `watched` are the arguments of `watch`."""

    def run(watched: dict[str, Any] | None, **overrides: Any) -> Outcome:
        settings = {"assistant_only_loss": False, **overrides}
        trainer, _ = make_sft_trainer(base, stacked, tmp_path, **settings)
        if watched is not None:
            watch(trainer, **watched)
        trainer.train()
        return Outcome(Path(trainer.args.output_dir), trainer, None)

    return run


def test_unpacked(train: Callable[..., Outcome]) -> None:
    outcome = train({"loss_by_source": "source", "loss_by_source_every": 1})
    print(outcome.logs[0])
    print(read_events(outcome.trace.events, TRAINING_EVENT)[:3])
    assert 0
