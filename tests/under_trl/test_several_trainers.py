"""Several trainers in one process: each run is recorded as it is alone.

They take turns. accelerate keeps the state of the accumulation of gradients once for a
process, so that trainers that run at the same moment disturb one another without this
package too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
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


class Turns:
    """Lets trainers in threads take their steps in turns, one at a time."""

    def __init__(self, count: int) -> None:
        self._changed = threading.Condition()
        self._waiting = list(range(count))
        """Whose turn it is, and who is next."""

    def wait_for(self, one: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._waiting[0] == one, timeout=120)

    def pass_on(self, one: int, *, ends: bool = False) -> None:
        with self._changed:
            self._waiting = self._waiting[1:] + [one] * (not ends)
            self._changed.notify_all()


class InTurns(TrainerCallback):
    """Gives the turn away after each step."""

    def __init__(self, turns: Turns, one: int) -> None:
        self.turns, self.one = turns, one

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.turns.pass_on(self.one)
        self.turns.wait_for(self.one)


@pytest.fixture
def make(base: Path, data: Path, tmp_path: Path) -> Callable[..., Any]:
    """Makes a trainer of an arm, with callbacks of its own."""

    def make(arm: str, where: str, *more: Any) -> Any:
        own = GradientMonitorCallback(study=where), EarlyTerminationCallback()
        # The order of rows would come from torch's generator, which threads share.
        order = {"train_sampling_strategy": "sequential"}
        words = {"save_strategy": "steps", **order, **ARMS[arm]}
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

    turns = Turns(len(ARMS))
    threaded = {
        arm: make(arm, "threads", InTurns(turns, i)) for i, arm in enumerate(ARMS)
    }
    faults: list[BaseException] = []

    def train(one: int, trainer: Any) -> None:
        try:
            turns.wait_for(one)
            trainer.train()
        except BaseException as fault:
            faults.append(fault)
        turns.pass_on(one, ends=True)

    threads = [
        threading.Thread(target=train, args=(i, trainer))
        for i, trainer in enumerate(threaded.values())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    assert not faults
    assert_as_alone(threaded, alone)
