"""Whatever moment a run is killed at: no record lost, none doubled."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import read_trace, trace_path
from axolotl_sftguide.signals import points_of

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from runs import run_row, steps
from axolotl_sftguide.monitor.recorder import RunRecorder
from axolotl_sftguide.runs.history import Decision
from axolotl_sftguide.runs.traces import read_trace, trace_path

folder, storage = Path(sys.argv[2]), sys.argv[3]
path = trace_path(folder, "r1")
past = ()
if path.exists() and not path.read_bytes().count(b"\\n"):
    path.unlink()  # killed before its first line: nothing to go on with
if path.exists():
    # As a host does: back to the last checkpoint, one every ten steps.
    seen = read_trace(path).observations
    kept = len(seen) // 10 * 10
    past = seen[:kept]
resumed_at = len(past) if path.exists() else None
row = run_row(output_dir=str(folder), max_steps=400)
recorder = RunRecorder(
    row, storage=storage, trace=True, warn=print, resumed_at=resumed_at, past=past
)
print("going", flush=True)
for step in range(len(past) + 5, 401, 5):
    recorder.steps(steps(step, first=step - 4))
    if step % 50 == 0:
        recorder.decision(Decision("divergence", "warn", "high", step, 8 * step))
recorder.end("finished")
"""
SUPPORT = Path(__file__).parent / "support"


def kill_and_resume(folder: Path, storage: str, draw: random.Random) -> int:
    """Start the run again and again, killed at random moments; how often it took."""
    script = folder / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(SUPPORT), str(folder), storage]
    kills = 0
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            if kills < 10:
                process.stdout.readline()
                time.sleep(draw.random() * 0.05)
                process.kill()
            process.communicate(timeout=120)
        assert process.returncode in (0, -signal.SIGKILL)
        if process.returncode == 0:
            return kills
        kills += 1
        path = trace_path(folder, "r1")
        if path.exists() and b"\n" in path.read_bytes():
            steps = [o.step for o in read_trace(path).observations]
            assert steps == list(range(1, len(steps) + 1))
        RunHistory(storage).runs()


def check(folder: Path, storage: str) -> None:
    trace = read_trace(trace_path(folder, "r1"))
    assert [o.step for o in trace.observations] == list(range(1, 401))
    history = RunHistory(storage)
    run = history.get("r1")
    assert (run.status, run.step, run.samples_seen) == ("finished", 400, 3200)
    assert history.points("r1") == points_of(trace.observations)
    assert [d.step for d in run.decisions] == list(range(50, 401, 50))


def test_ten_kills_lose_and_double_nothing(tmp_path: Path, storage: str) -> None:
    kills = kill_and_resume(tmp_path, storage, random.Random(0))
    check(tmp_path, storage)
    assert kills <= 10


@pytest.mark.long
def test_two_hundred_kills_lose_and_double_nothing(
    tmp_path: Path, new_storage: Callable[[], str]
) -> None:
    kills = 0
    for seed in range(60):
        folder = tmp_path / str(seed)
        folder.mkdir()
        own = new_storage()
        kills += kill_and_resume(folder, own, random.Random(seed))
        check(folder, own)
        if kills >= 200:
            return
    pytest.fail(f"only {kills} kills")
