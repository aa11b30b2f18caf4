"""What happens on one rank never leaves another waiting."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces, read_trace

SCRIPT = """
import json, os, random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hosts import leave_together, make_sft_trainer
from planted import BrokenJudge, StopJudge
from transformers import TrainerCallback
from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.monitor import capture, opening

base, data, out = map(Path, sys.argv[2:5])
rank, mode = int(os.environ["RANK"]), sys.argv[5]
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

if mode == "stops":
    draw = random.Random(0)
    bad = ["/dev/null/x.db", None]
    for i in range(int(sys.argv[6])):
        step, on = draw.randint(1, 9), draw.randrange(2)
        train(f"r{i}", want_to_stop, step, on, storage=bad[i % 2], max_steps=12,
              logging_steps=draw.choice([1, 2, 3]))
elif mode == "capture":
    train("r", break_capture, 3, 1, logging_steps=2)
elif mode == "judge":
    train("r", break_judge, 3, 0, logging_steps=2)
elif mode == "start":
    if rank == 1:
        def broken(trainer):
            raise ZeroDivisionError("planted")
        opening.key_fields = broken
    train("r", logging_steps=2)
(out / f"rank{rank}.json").write_text(json.dumps(told))
leave_together()
"""


@pytest.fixture
def on_two_ranks(base: Path, data: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(*mode: str) -> tuple[str, list[int], list[int]]:
        script = tmp_path / "train.py"
        script.write_text(SCRIPT)
        support = Path(__file__).parent.parent / "support"
        words = map(str, [support, base, data, tmp_path, *mode])
        launcher = ["-m", "torch.distributed.run", "--standalone"]
        done = subprocess.run(
            [sys.executable, *launcher, "--nproc-per-node", "2", script, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        one, two = (
            json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1)
        )
        return done.stdout, one, two

    return run


def stopped_together(one: list[int], two: list[int], count: int) -> bool:
    return one == two and len(one) == count and all(1 <= step < 12 for step in one)


def test_a_stop_that_one_rank_wants_is_everybodys(
    on_two_ranks: Callable[..., Any],
) -> None:
    _, one, two = on_two_ranks("stops", "6")
    assert stopped_together(one, two, 6)


@pytest.mark.slow
def test_a_hundred_stops_half_of_them_without_a_storage(
    on_two_ranks: Callable[..., Any],
) -> None:
    _, one, two = on_two_ranks("stops", "100")
    assert stopped_together(one, two, 100)


def test_a_fault_in_one_ranks_capture_lets_all_go_at_the_next_log(
    on_two_ranks: Callable[..., Any], tmp_path: Path
) -> None:
    said, one, two = on_two_ranks("capture")
    assert one == two == [12]
    assert said.count("planted") == 1
    (path,) = find_traces(tmp_path)
    assert [o.step for o in read_trace(path).observations] == [1, 2]


def test_a_fault_in_one_ranks_judgement_does_too(
    on_two_ranks: Callable[..., Any],
) -> None:
    said, one, two = on_two_ranks("judge")
    assert one == two == [12]
    assert said.count("planted") == 1


def test_where_one_rank_cannot_begin_none_is_watched(
    on_two_ranks: Callable[..., Any],
) -> None:
    said, one, two = on_two_ranks("start")
    assert one == two == [12]
    assert said.count("planted") == 1
    assert "watching run" not in said
    assert [run.status for run in RunHistory().runs()] == ["failed"]
