"""Several trainers in one process, at once: each run is recorded as it is alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hosts import Outcome, make_sft_trainer
from same_bits import assert_same_bits
from transformers import TrainerCallback

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.runs.history import RunHistory

ARMS = {
    "one": {"learning_rate": 0.003, "max_steps": 12, "save_steps": 5},
    "two": {"learning_rate": 0.001, "max_steps": 9, "gradient_accumulation_steps": 1},
}


class Nested(TrainerCallback):
    """Trains something else between two steps."""

    def __init__(self, step: int, train: Callable[[], object]) -> None:
        self.step, self.train = step, train

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            self.train()


class Turns(TrainerCallback):
    """Lets two trainers in two threads take their steps in turns."""

    def __init__(self, baton: threading.Barrier) -> None:
        self.baton = baton

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._wait()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.baton.abort()

    def _wait(self) -> None:
        with suppress(threading.BrokenBarrierError):  # the other one has ended
            self.baton.wait(timeout=60)


@pytest.fixture
def make(base: Path, data: Path, tmp_path: Path) -> Callable[..., Any]:
    """Makes a trainer of an arm, with callbacks of its own."""

    def make(arm: str, where: str, *more: Any) -> Any:
        own = GradientMonitorCallback(study=where), EarlyTerminationCallback()
        words = {"save_strategy": "steps", "data_seed": 7, **ARMS[arm]}
        folder = tmp_path / where / arm
        words |= {"output_dir": str(folder), "dataloader_num_workers": 0}
        trainer, _ = make_sft_trainer(base, data, folder, *own, *more, **words)
        return trainer

    return make


def records(trainer: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    """The steps of a run's trace, and the points that the history has of it."""
    trace = Outcome(Path(trainer.args.output_dir), trainer, None).trace
    assert trace.end is not None
    assert trace.end["status"] == "finished"
    points = RunHistory().points(trace.run["id"])
    return [asdict(step) for step in trace.observations], points


def assert_as_alone(trainers: dict[str, Any], alone: dict[str, Any]) -> None:
    for arm, trainer in trainers.items():
        assert records(trainer) == records(alone[arm])
        folder = Path(trainer.args.output_dir)
        here = Outcome(folder, trainer, None)
        assert_same_bits(here, Outcome(folder, alone[arm], None))
    ids = {Outcome(Path(t.args.output_dir), t, None).run.id for t in trainers.values()}
    assert len(ids) == len(trainers)


def test_trainers_in_turns_in_one_another_and_in_threads_are_recorded_as_alone(
    make: Callable[..., Any],
) -> None:
    alone = {arm: make(arm, "alone") for arm in ARMS}
    for trainer in alone.values():
        trainer.train()

    inner = make("two", "nested")
    outer = make("one", "nested", Nested(4, inner.train))
    outer.train()
    assert_as_alone({"one": outer, "two": inner}, alone)

    baton = threading.Barrier(2)
    turns = {arm: make(arm, "threads", Turns(baton)) for arm in ARMS}
    faults: list[BaseException] = []

    def train(trainer: Any) -> None:
        try:
            trainer.train()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=train, args=(t,)) for t in turns.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    assert not faults
    assert_as_alone(turns, alone)
