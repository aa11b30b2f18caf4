"""Campaign: programs that write to the run history and to traces are killed."""

import json
import os
import random
import signal
import time
from pathlib import Path

import checks
from children import begin, send
from outcome import Outcome
from runs import run_row, steps, write_trace
from tally import Tally

from axolotl_sftguide.errors import SFTGuideError
from axolotl_sftguide.monitor.recorder import RunRecorder
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.runs.traces import find_traces, read_trace

STEPS = 400


def edit(folder: str, storage: str, run_id: str, seed: str) -> None:
    """Score, tag and rename a run, noting what has been done."""
    draw = random.Random(seed)
    notes = os.open(f"{folder}/{run_id}.notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    history = RunHistory(storage)
    for number in range(500):
        run = history.get(run_id)
        what = draw.choice(["score", "tag", "rename"])
        if what == "score":
            history.score_run(run, Score(f"m{number}", number / 7, "max"))
        elif what == "tag":
            history.tag(run, [*run.tags[-3:], f"t{number}"])
        else:
            history.rename(run, f"name-{number}")
        os.write(notes, f"{json.dumps([what, number])}\n".encode())


def record(folder: str, storage: str, run_id: str) -> None:
    """Record a run as a host does, noting each step once it is recorded."""
    notes = os.open(f"{folder}/{run_id}.notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    row = run_row(run_id, output_dir=f"{folder}/{run_id}", max_steps=STEPS)
    recorder = RunRecorder(row, storage=storage, trace=True, warn=print)
    for step in range(5, STEPS + 1, 5):
        recorder.steps(steps(step, first=step - 4))
        if step % 50 == 0:
            recorder.decision(Decision("divergence", "warn", "high", step, 8 * step))
        os.write(notes, f"{json.dumps(['step', step])}\n".encode())
        time.sleep(0.001)
    recorder.end("finished")
    os.write(notes, b'["end", 0]\n')


def killed_writers(scratch: Path, seed: int, share: float) -> Outcome:
    """One of two programs that write to one history is killed at a random moment."""
    tally = Tally("history and trace: one of two programs that write is killed")
    for number in range(max(1, round(80 * share))):
        draw = random.Random(f"{seed} writers {number}")
        folder, where = scratch / f"try-{number}", f"writers {number}"
        folder.mkdir()
        storage, log = folder / "runs.db", folder / "log"
        for run_id in ("e0", "e1"):
            path = write_trace(folder / run_id, run_id, 10)
            RunHistory(str(storage)).import_trace(read_trace(path))
        jobs = {
            "e0": (edit, str(folder), str(storage), "e0", f"{seed} {number} 0"),
            "e1": (edit, str(folder), str(storage), "e1", f"{seed} {number} 1"),
            "r0": (record, str(folder), str(storage), "r0"),
            "r1": (record, str(folder), str(storage), "r1"),
        }
        names = draw.sample(sorted(jobs), 2)
        processes = {name: begin(*jobs[name], log=log) for name in names}
        time.sleep(draw.uniform(0.02, 1.2))
        killed = processes[names[0]]
        send(killed, draw.choice([signal.SIGKILL, signal.SIGTERM]))
        tally.tries += 1
        time.sleep(draw.uniform(0.0, 0.4))
        other = processes[names[1]]
        if names[1].startswith("e"):
            send(other, signal.SIGKILL)  # it would edit for long
        for process in processes.values():
            process.join(60)
        checks.quiet(tally, log, where)
        for name in names:
            _check(tally, folder, storage, name, where)
        _rebuilt(tally, folder, storage, where)
    return tally.outcome()


def _check(tally: Tally, folder: Path, storage: Path, run_id: str, where: str) -> None:
    path = folder / f"{run_id}.notes"
    lines = path.read_text().splitlines() if path.exists() else []
    done = [json.loads(line) for line in lines]
    if not done:
        return
    (trace,) = checks.read_all(tally, folder / run_id, where) or (None,)
    if trace is None:
        tally.loss(f"{where}: {run_id} has no trace")
        return
    if run_id.startswith("r"):
        last = max(number for _, number in done)
        if [o.step for o in trace.observations[:last]] != list(range(1, last + 1)):
            tally.loss(
                f"{where}: {run_id} has {len(trace.observations)} of {last} steps"
            )
        if ["end", 0] in done:
            checks.in_history(tally, storage, trace, "finished", where)
        return
    try:
        run = RunHistory(str(storage)).get(run_id)
    except SFTGuideError as error:
        tally.loss(f"{where}: {error}")
        return
    metrics = {score.metric: score.value for score in run.scores}
    for what, number in done:
        if what == "score" and metrics.get(f"m{number}") != number / 7:
            tally.loss(f"{where}: the score m{number} of {run_id} is gone")
    tags = [number for what, number in done if what == "tag"]
    if tags and not any(int(tag[1:]) >= tags[-1] for tag in run.tags):
        tally.loss(f"{where}: {run_id} has the tags {run.tags}, not t{tags[-1]}")


def _rebuilt(tally: Tally, folder: Path, storage: Path, where: str) -> None:
    """A history from the traces alone has what this one has, but for the last edit."""
    again = RunHistory(str(folder / "again.db"))
    for path in find_traces(folder):
        if path.read_bytes().count(b"\n"):
            again.import_trace(read_trace(path))
    before = {run.id: run for run in RunHistory(str(storage)).runs()}
    for run in again.runs():
        known = before.get(run.id)
        if known is None:
            continue
        differ = {s.metric: s.value for s in run.scores}.items() ^ {
            s.metric: s.value for s in known.scores
        }.items()
        if len(differ) > 1:
            tally.loss(f"{where}: rebuilt from its trace {run.id} differs: {differ}")


CAMPAIGNS = (killed_writers,)
