"""One run of many steps, without a model: what it keeps, writes and takes to read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scaling.process import measured

TRAIN = """
import json, random, resource, sys, time
from pathlib import Path
import psutil
from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.monitor.recorder import RunRecorder
from axolotl_sftguide.signals import LogWindow, Observation
from axolotl_sftguide.stopping.judge import judge_of
from runs import run_row
folder, size = Path(sys.argv[1]), int(sys.argv[2])
row = run_row("long", output_dir=str(folder), max_steps=size)
recorder = RunRecorder(row, storage=str(folder / "runs.db"), trace=True, warn=print)
judge = judge_of(EarlyTerminationSettings(action="stop"), max_steps=size)
state, window, draw = judge.init(), LogWindow(), random.Random(0)
process, early, own = psutil.Process(), 0, 0.0
last = size if len(sys.argv) < 4 else int(sys.argv[3])
for first in range(1, last + 1, 16):
    steps = [
        Observation(
            i, 32 * i, 1 + 2 / i ** 0.3 + draw.gauss(0, 0.05),
            0.5 + 1 / i ** 0.3 + draw.gauss(0, 0.03), 1e-4 * (1 - i / (size + 1)),
            trained_tokens=draw.randint(5000, 9000),
        )
        for i in range(first, min(first + 16, last + 1))
    ]
    began = time.process_time()
    recorder.steps(steps, step_s=0.5)
    window.add(steps)
    state, found = judge.step(state, steps)
    own += time.process_time() - began
    assert not [one for one in found if one.action == "stop"], found
    if first <= size // 10 < first + 16:
        early = process.memory_info().rss
late = process.memory_info().rss
if last == size:
    recorder.end("finished")
print(json.dumps({
    "us_per_step": round(1e6 * own / last, 1),
    "mib_at_10%": round(early / 2**20, 1), "mib_at_end": round(late / 2**20, 1),
}))
"""
RESUME = """
import json, sys, time
from pathlib import Path
from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.monitor.resume import find_earlier
from axolotl_sftguide.runs.checkpoints import Note, write_note
from axolotl_sftguide.stopping.judge import judge_of
folder, size = Path(sys.argv[1]), int(sys.argv[2])
checkpoint = folder / f"checkpoint-{size}"
checkpoint.mkdir(exist_ok=True)
write_note(str(checkpoint), Note("long", size, 32 * size))
began = time.perf_counter()
found = find_earlier(str(folder), size, str(checkpoint))
assert found is not None and len(found.past) == size
read = time.perf_counter() - began
judge = judge_of(EarlyTerminationSettings(action="stop"), max_steps=size)
judge.step(judge.init(), found.past)
whole = time.perf_counter() - began
print(json.dumps({"read_s": round(read, 2), "replayed_s": round(whole - read, 2)}))
"""
WATCH = """
import json, sys, time
from axolotl_sftguide.runs.following import TraceFollower
follower = TraceFollower(sys.argv[1])
follower.read()
with open(sys.argv[1], "rb+") as file:
    file.seek(-4000, 2)
    line = file.read().splitlines()[-2] + b"\\n"
    end = file.tell()
    began = time.perf_counter()
    for _ in range(5):
        file.write(line)
        file.flush()
        follower.read()
    took = (time.perf_counter() - began) / 5
    file.truncate(end)
print(json.dumps({"update_ms": round(1000 * took, 1)}))
"""
TENSORBOARD = """
import random, sys
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
writer, draw = EventFileWriter(sys.argv[1]), random.Random(0)
for i in range(1, int(sys.argv[2]) + 1):
    for tag in ("loss", "grad_norm", "learning_rate", "trained_tokens"):
        value = Summary.Value(tag=f"train/{tag}", simple_value=draw.random())
        writer.add_event(Event(step=i, wall_time=i, summary=Summary(value=[value])))
writer.close()
"""
TENSORBOARD_READ = """
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
print(len(events.Scalars("train/loss")))
"""


MOST_TENSORBOARD = 100_000
"""Its files grow with the steps alone, and a million take it minutes to write."""


def measure(folder: Path, size: int) -> Iterator[dict[str, Any]]:
    """The figures of a run of so many steps."""
    out = folder / "said"
    figures = measured(["-c", TRAIN, str(folder), str(size)], out=out)
    yield {"what": "recorded and judged", **figures, **said(out)}
    (trace,) = folder.glob("sftguide-trace-*.jsonl")
    yield {
        "what": "the files",
        "trace_mb": round(trace.stat().st_size / 1e6, 1),
        "trace_bytes_per_step": round(trace.stat().st_size / size),
        "history_mb": round((folder / "runs.db").stat().st_size / 1e6, 1),
    }
    env = {"SFTGUIDE_STORAGE": str(folder / "runs.db"), "COLUMNS": "100"}
    cli = ["-m", "axolotl_sftguide"]
    call = [*cli, "runs", "show", "latest"]
    yield {"what": "sftguide runs show", **measured(call, env)}
    page = folder / "report.html"
    call = [*cli, "report", "-o", str(page)]
    yield {"what": "sftguide report", **measured(call, env)}
    yield {"what": "the report's page", "mb": round(page.stat().st_size / 1e6, 2)}
    call = ["-c", WATCH, str(trace)]
    yield {"what": "runs watch: one update", **measured(call, out=out), **said(out)}
    call = ["-c", RESUME, str(folder), str(size)]
    yield {"what": "resume at the end", **measured(call, out=out), **said(out)}
    if size > MOST_TENSORBOARD:
        return
    events = folder / "tensorboard"
    written = measured(["-c", TENSORBOARD, str(events), str(size)])
    total = sum(path.stat().st_size for path in events.iterdir())
    each = round(total / size)
    yield {"what": "TensorBoard: 4 scalars", **written, "bytes_per_step": each}
    read = measured(["-c", TENSORBOARD_READ, str(events)])
    yield {"what": "TensorBoard: read", **read}


def said(path: Path) -> dict[str, Any]:
    """The figures that a process printed."""
    return dict(json.loads(path.read_text()))
