"""Stands in for `axolotl train`: the files and the history entry of a training.

It takes a second instead of half a minute, so that a campaign can kill hundreds.
"""

import json
import math
import os
import random
import sys
import time
from pathlib import Path

import psutil
import yaml
from runs import run_row

from axolotl_sftguide.runs.checkpoints import Note, read_note, write_note
from axolotl_sftguide.runs.history import Decision, RunHistory, Score
from axolotl_sftguide.runs.traces import TraceWriter, read_trace, trace_path
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.stopping.parking import STAGE_VARIABLE

STEPS = 320
PARKED_AT = 80
POOR = 1.5
"""A floor of the loss from which on a trial is parked."""
TWICE = "trained-twice"


def losses(floor: float) -> list[Observation]:
    """A loss that falls from 2.8 to a floor, with noise."""
    draw = random.Random(f"{floor}")
    levels = [floor + (2.8 - floor) * math.exp(-i / 30) for i in range(STEPS)]
    return [
        Observation(i, 8 * i, level * math.exp(draw.gauss(0, 0.02)), 1.0, 1e-3, 64)
        for i, level in enumerate(levels, start=1)
    ]


def train(path: str) -> None:
    """Train the config in a file."""
    config = yaml.safe_load(Path(path).read_text())
    out = Path(config["output_dir"])
    _note_if_twice(out)
    floor = float(config["learning_rate"])
    checkpoint = config.get("resume_from_checkpoint")
    note = read_note(checkpoint) if checkpoint else None
    run_id = note.run_id if note else f"run-{out.name}-{os.getpid()}"
    row = run_row(
        run_id,
        name=out.name,
        study=config["sftguide"]["study"],
        output_dir=str(out),
        max_steps=STEPS,
        config={"learning_rate": floor},
    )
    history = RunHistory(os.environ["SFTGUIDE_STORAGE"])
    writer = TraceWriter(trace_path(out, run_id))
    begun = note.step if note else 0
    if note:
        writer.event("resume", step=begun, at=time.time(), run=row)
    else:
        writer.begin(row)
    history.begin({**row, "trace_path": str(writer.path)})
    parks = os.environ.get(STAGE_VARIABLE) == "first" and floor >= POOR
    last = PARKED_AT if parks else STEPS
    for step in range(begun + 16, last + 1, 16):
        time.sleep(0.01)
        writer.steps(losses(floor)[step - 16 : step])
        if step % 80 == 0:
            _save(out, Note(run_id, step, 8 * step, parks and step == last))
    if parks:
        decision = Decision("prediction", "park", "weak", last, 8 * last)
        writer.event("decision", **vars(decision))
    else:
        writer.event("score", **vars(Score("m", 3 - floor, "max")))
    status = "parked" if parks else "finished"
    writer.event("end", status=status, reason=None, at=time.time())
    writer.close()
    history.import_trace(read_trace(writer.path))
    (out / "training.pid").unlink()


def _save(out: Path, note: Note) -> None:
    folder = out / f"checkpoint-{note.step}"
    folder.mkdir(exist_ok=True)
    write_note(folder, note)
    (folder / "weights").write_bytes(b"w" * 1000)
    (folder / "trainer_state.json").write_text("{}")


def _note_if_twice(out: Path) -> None:
    mine, process = out / "training.pid", psutil.Process()
    try:
        pid, created = json.loads(mine.read_text())
        if psutil.Process(pid).create_time() == created:
            (out / TWICE).touch()
    except (OSError, ValueError, psutil.Error):
        pass
    mine.write_text(json.dumps([process.pid, process.create_time()]))


if __name__ == "__main__":
    train(sys.argv[-1])
