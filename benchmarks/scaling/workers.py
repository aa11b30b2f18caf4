"""Workers of one sweep on one PostgreSQL; a trial takes no time."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scaling.process import PROJECT

TRIALS = 96

QUEUE = """
import sys
from scaling.study import make_study
print(make_study(sys.argv[1], sys.argv[2]).plan(int(sys.argv[3])))
"""
WORK = """
import sys, time
from scaling.study import make_study
study = make_study(sys.argv[1], sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
done, waits = 0, []
while True:
    began = time.perf_counter()
    trial = study.claim()
    waits.append(time.perf_counter() - began)
    if trial is None:
        break
    study.finish(trial, trial.values["learning_rate"], run_id=trial.name)
    done += 1
print(done, max(waits), flush=True)
"""
OPTUNA_QUEUE = """
import sys
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(storage=sys.argv[1], study_name="s")
for _ in range(int(sys.argv[3])):
    study.enqueue_trial({})
"""
OPTUNA_WORK = """
import sys, time
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(storage=sys.argv[1], study_name="s")
waiting = (optuna.trial.TrialState.WAITING,)
print("ready", flush=True)
sys.stdin.readline()
done, waits = 0, []
while study.get_trials(deepcopy=False, states=waiting):
    began = time.perf_counter()
    trial = study.ask()
    waits.append(time.perf_counter() - began)
    study.tell(trial, trial.suggest_float("learning_rate", 1e-6, 1e-2, log=True))
    done += 1
print(done, max(waits, default=0.0), flush=True)
"""


def measure(folder: Path, size: int) -> Iterator[dict[str, Any]]:
    """Trials per second that so many workers claim and finish together."""
    from postgres import Server, programs

    if programs() is None:
        yield {"what": "left out: PostgreSQL is not installed"}
        return
    with tempfile.TemporaryDirectory(prefix="sftguide-scale-") as own:
        server = Server(Path(own))
        try:
            for what, queue, work in (
                ("trials claimed and finished", QUEUE, WORK),
                ("Optuna: ask and tell", OPTUNA_QUEUE, OPTUNA_WORK),
            ):
                url = server.new_database()
                call(queue, url, str(folder), str(TRIALS)).communicate(timeout=300)
                yield {"what": what, **together(work, url, str(folder), size)}
        finally:
            server.stop()


def together(work: str, url: str, folder: str, size: int) -> dict[str, Any]:
    """Start the workers, let them begin at the same moment, and wait for all."""
    started = [call(work, url, folder) for _ in range(size)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=600)[0].split() for process in started]
    took = time.perf_counter() - began
    done = sum(int(words[0]) for words in said)
    return {
        "trials": done,
        "per_s": round(done / took, 1),
        "longest_claim_s": round(max(float(words[1]) for words in said), 3),
    }


def call(code: str, *words: str) -> "subprocess.Popen[str]":
    """Start a Python process."""
    path = [str(PROJECT), str(PROJECT / "benchmarks")]
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
