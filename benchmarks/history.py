"""What a run history of many long runs costs a run that begins.

    python benchmarks/history.py [--runs 1000] [--points 5000] [--storage URL]
        [--optuna 50] [--out FILE.json]

Fills a new history with finished, scored runs (SQLite in a temporary folder, or an
empty database that is named), and times what a new run asks of it: the loss and the
norm of all of them at one number of samples, the cohort that it reads once when it
begins, and the judgement of each of its steps afterwards. Optuna's study of as long
curves, with `--optuna` runs of them, stands beside it.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from record import about, record

from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.runs.history import RunHistory, Score, this_process
from axolotl_sftguide.runs.history._tables import points
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.signals.comparability import Candidate
from axolotl_sftguide.stopping.baselines import baselines
from axolotl_sftguide.stopping.judge import judge_of

STEP = 512
"""Samples between two points."""


def fill(history: RunHistory, runs: int, length: int) -> None:
    """Runs with curves that fall, each on a level of its own."""
    draw = random.Random(0)
    engine = sa.create_engine(history._database._engine.url)
    process = this_process()
    for i in range(runs):
        name = f"r{i:05d}"
        row = {"id": name, "name": name, "study": "s", "key": "k", "key_fields": {}}
        row |= {"comparable": True, "host": "trl", "config": {}, "output_dir": "/o"}
        row |= {"max_steps": 16 * length, "started_at": float(i), **process}
        history.begin(row)
        level = draw.uniform(0.5, 1.5)
        curve = [
            {
                "run_id": name,
                "samples_seen": STEP * j,
                "loss": level + 1 / j,
                "grad_norm": 2 - level + 1 / j,
            }
            for j in range(1, length + 1)
        ]
        with engine.begin() as connection:
            connection.execute(sa.insert(points), curve)
        history.add_score(name, Score("m", level, "max"))
        history.end(name, "finished")


def timed(call: Callable[[], object], times: int) -> tuple[float, float]:
    """Median and 99th percentile in milliseconds."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken), sorted(taken)[int(0.99 * (len(taken) - 1))]


def resident_mib() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def optuna_study(folder: Path, runs: int, length: int) -> float:
    """The same curves as one signal of a study: how long a new process loads them."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = f"sqlite:///{folder / 'optuna.db'}"
    study = optuna.create_study(storage=url, study_name="s")
    for i in range(runs):
        values = {j: 1 / j for j in range(1, length + 1)}
        study.add_trial(optuna.trial.create_trial(value=i, intermediate_values=values))
    started = time.perf_counter()
    loaded = optuna.load_study(storage=url, study_name="s").trials
    taken = time.perf_counter() - started
    print(f"Optuna study, {len(loaded)} runs: all curves loaded in {taken:.2f} s")
    return taken


def main() -> None:
    """Fill, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument(
        "--optuna", type=int, default=0, help="runs of a study beside it"
    )
    parser.add_argument("--storage", help="an empty database; else SQLite")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        history = RunHistory(asked.storage or str(Path(folder) / "h.db"))
        started = time.perf_counter()
        fill(history, asked.runs, asked.points)
        print(f"filled in {time.perf_counter() - started:.0f} s")
        before = resident_mib()
        candidate = Candidate("s", "k")
        settings = EarlyTerminationSettings(action="stop")
        ids = [peer.id for peer in history.peers(candidate)]
        draw = random.Random(1)
        last = STEP * asked.points
        at = timed(lambda: list(history.at([draw.randint(STEP, last)], ids)), 200)
        print(f"all runs at one sample count: p50 {at[0]:.1f}, p99 {at[1]:.1f} ms")
        begin = timed(lambda: baselines(candidate, history, settings), 3)
        print(f"reference and cohort, once when a run starts: {begin[0] / 1000:.2f} s")
        judge = judge_of(settings, baselines(candidate, history, settings))
        state = judge.init()
        steps = iter(range(1, 10_001))

        def judged() -> None:
            nonlocal state
            i = next(steps)
            seen = Observation(i, 32 * i, 1 + 1 / i, 1 + 1 / i, 1e-3)
            state, _ = judge.step(state, [seen])

        step = timed(judged, 10_000)
        print(f"judging one step: p50 {step[0]:.3f}, p99 {step[1]:.3f} ms")
        memory = resident_mib() - before
        print(f"memory added: {memory:.0f} MiB")
        found = {
            "about": about(),
            "runs": asked.runs,
            "points": asked.points,
            "begin_seconds": begin[0] / 1000,
            "step_ms": {"p50": step[0], "p99": step[1]},
            "all_runs_ms": {"p50": at[0], "p99": at[1]},
            "memory_mib": memory,
        }
        if asked.optuna:
            taken = optuna_study(Path(folder), asked.optuna, asked.points)
            found["optuna"] = {"runs": asked.optuna, "seconds": taken}
        if asked.out:
            kind = "postgresql" if "postgresql" in (asked.storage or "") else "sqlite"
            record(asked.out, {kind: found}, keep=True)


if __name__ == "__main__":
    main()
