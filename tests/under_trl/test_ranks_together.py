"""What happens on one rank never leaves another waiting."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from forked import Forked

from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace

SCRIPT = """
import json, os, random, sys
from contextlib import redirect_stdout
from pathlib import Path
from hosts import leave_together, make_sft_trainer
from planted import BrokenJudge, StopJudge
from transformers import TrainerCallback
from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.monitor import capture, opening

base, data, out = map(Path, sys.argv[1:4])
rank = int(os.environ["RANK"])
told = []

class At(TrainerCallback):
    # Does something to one rank at one step.
    def __init__(self, step, rank, act):
        self.step, self.rank, self.act = step, rank, act
    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.step and rank == self.rank:
            self.act()

def train(name, act=lambda monitor: None, step=0, on=0, storage=None, **overrides):
    monitor = GradientMonitorCallback(storage=storage)
    at = At(step, on, lambda: act(monitor))
    trainer, _ = make_sft_trainer(
        base, data, out / name, monitor, EarlyTerminationCallback(), at,
        ddp_backend="gloo", **overrides
    )
    trainer.train()
    told.append(trainer.state.global_step)

def want_to_stop(monitor):
    monitor.session._judge = StopJudge()

def break_capture(monitor):
    def broken(inputs):
        raise ZeroDivisionError("planted")
    capture.count_samples = broken

def break_judge(monitor):
    monitor.session._judge = BrokenJudge()

def stops(count):
    draw = random.Random(0)
    bad = ["/dev/null/x.db", None]
    for i in range(int(count)):
        step, on = draw.randint(1, 9), draw.randrange(2)
        train(f"r{i}", want_to_stop, step, on, storage=bad[i % 2], max_steps=12,
              logging_steps=draw.choice([1, 2, 3]))

def broken_capture():
    intact = capture.count_samples
    train("r", break_capture, 3, 1, logging_steps=2)
    capture.count_samples = intact

def broken_judge():
    train("r", break_judge, 3, 0, logging_steps=2)

def broken_start():
    def broken(*_):
        raise ZeroDivisionError("planted")
    intact = opening.key_fields
    if rank == 1:
        opening.key_fields = broken
    train("r", logging_steps=2)
    opening.key_fields = intact

whole = out
for mode in sys.argv[4:]:
    name, _, count = mode.partition("=")
    out = whole / name
    out.mkdir(exist_ok=True)
    os.environ["SFTGUIDE_STORAGE"] = str(out / "runs.db")
    with (out / f"said{rank}").open("w") as said, redirect_stdout(said):
        globals()[name](*[count] * bool(count))
    (out / f"rank{rank}.json").write_text(json.dumps(told))
    told.clear()
leave_together()
"""


@dataclass
class Outcome:
    """What two ranks left behind after one of the script's functions."""

    folder: Path

    @property
    def steps(self) -> list[list[int]]:
        """The last step of each training, on each rank."""
        return [json.loads((self.folder / f"rank{r}.json").read_text()) for r in (0, 1)]

    @property
    def said(self) -> str:
        return "".join((self.folder / f"said{r}").read_text() for r in (0, 1))

    def stopped_together(self, count: int) -> bool:
        one, two = self.steps
        return one == two and len(one) == count and all(1 <= s < 12 for s in one)


def on_two_ranks(
    forked: Forked, base: Path, data: Path, folder: Path, *modes: str
) -> None:
    script = folder / "train.py"
    script.write_text(SCRIPT)
    forked.run_ranks(script, base, data, folder, *modes, timeout_s=900)


@pytest.fixture(scope="module")
def after(
    forked: Forked, base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Outcome]:
    """What one start of two ranks left behind, by function."""
    folder = tmp_path_factory.mktemp("ranks")
    modes = "stops=6", "broken_judge", "broken_capture", "broken_start"
    on_two_ranks(forked, base, data, folder, *modes)
    return lambda mode: Outcome(folder / mode)


def test_if_one_rank_decides_to_stop_all_ranks_stop_at_the_same_step(
    after: Callable[[str], Outcome],
) -> None:
    assert after("stops").stopped_together(6)


@pytest.mark.long
def test_a_hundred_stops_half_of_them_without_a_storage(
    forked: Forked, base: Path, data: Path, tmp_path: Path
) -> None:
    on_two_ranks(forked, base, data, tmp_path, "stops=100")
    assert Outcome(tmp_path / "stops").stopped_together(100)


def test_an_error_in_one_ranks_capture_ends_the_monitoring_of_all(
    after: Callable[[str], Outcome],
) -> None:
    found = after("broken_capture")
    assert found.steps == [[12], [12]]
    assert found.said.count("planted") == 1
    (path,) = find_traces(found.folder)
    assert [o.step for o in read_trace(path).observations] == [1, 2]


def test_an_error_in_one_ranks_judge_ends_the_monitoring_of_all(
    after: Callable[[str], Outcome],
) -> None:
    found = after("broken_judge")
    assert found.steps == [[12], [12]]
    assert found.said.count("planted") == 1


def test_if_one_rank_cannot_start_no_rank_is_watched(
    after: Callable[[str], Outcome],
) -> None:
    found = after("broken_start")
    assert found.steps == [[12], [12]]
    assert found.said.count("planted") == 1
    assert "watching run" not in found.said
    history = RunHistory(str(found.folder / "runs.db"))
    assert [run.status for run in history.runs()] == ["failed"]
