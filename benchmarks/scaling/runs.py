"""A history of many runs: its commands, the start of a run, and its looks."""

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from scaling.process import PROJECT, measured

STEP_SAMPLES = 512
POINTS = 62
"""Points of a curve: a run of a thousand steps."""

COMMANDS = {
    "runs list": ["runs", "list"],
    "runs list --sort score": ["runs", "list", "--sort", "score"],
    "runs list --limit 0": ["runs", "list", "--limit", "0"],
    "runs list --json": ["runs", "list", "--json"],
    "runs show latest": ["runs", "show", "latest"],
    "runs best": ["runs", "best"],
    "plan": ["plan", "recipes/8b-stacked-qlora.yml"],
    "report": ["report", "-o", "report.html"],
}
START = """
import json, sys, time
from axolotl_sftguide.config.rule_settings import EarlyTerminationSettings
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.signals import Observation
from axolotl_sftguide.signals.comparability import Candidate
from axolotl_sftguide.stopping.baselines import baselines
from axolotl_sftguide.stopping.judge import judge_of
from runs import run_row
fields = json.loads(sys.argv[2])
began = time.perf_counter()
history = RunHistory(sys.argv[1])
history.begin(run_row("new", study="s", key="k", key_fields=fields))
settings = EarlyTerminationSettings(action="stop")
candidate = Candidate("s", "k", fields, without="new")
judge = judge_of(settings, baselines(candidate, history, settings), max_steps=992)
print(json.dumps({"start_s": time.perf_counter() - began}))
if sys.argv[3] == "looks":
    state, longest = judge.init(), 0.0
    for i in range(1, 992):
        seen = Observation(i, 32 * i, 1 + 1 / i, 1 + 1 / i, 1e-3)
        began = time.perf_counter()
        state, _ = judge.step(state, [seen])
        longest = max(longest, time.perf_counter() - began)
    print(json.dumps({"longest_step_ms": 1000 * longest}))
history.delete("new")
"""
COMPLETE = """
import sys
from axolotl_sftguide.cli import main
main()
"""
OPTUNA_FILL = """
import random, sys
import optuna
import sqlalchemy as sa
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(storage=sys.argv[1], study_name="s")
draw = random.Random(0)
rate = optuna.distributions.FloatDistribution(1e-6, 1e-2, log=True)
study.add_trial(optuna.trial.create_trial(
    value=draw.random(), params={"learning_rate": 1e-4},
    distributions={"learning_rate": rate}, user_attrs={"name": "run-0"},
    intermediate_values={512 * j: 1 / j for j in range(1, 63)},
))
# The others as copies of its rows: Optuna takes a quarter of a second for each.
engine = sa.create_engine(sys.argv[1])
tables = sa.MetaData()
tables.reflect(engine)
with engine.begin() as connection:
    for name, table in tables.tables.items():
        if name != "trials" and "trial_id" not in table.columns:
            continue
        own = sa.select(table).where(table.c.trial_id == 1)
        (key,) = table.primary_key.columns.keys()
        rows = [dict(r) for r in connection.execute(own).mappings()]
        copies = []
        for i in range(1, int(sys.argv[2])):
            for row in rows:
                copy = {**row, "trial_id": 1 + i}
                if name == "trials":
                    copy["number"] = i
                else:
                    del copy[key]
                if name == "trial_values":
                    copy["value"] = draw.random()
                copies.append(copy)
        if copies:
            connection.execute(sa.insert(table), copies)
"""
FILL = """
import sys
from scaling.runs import fill
from axolotl_sftguide.runs.history import RunHistory
fill(RunHistory(sys.argv[1]), int(sys.argv[2]))
"""
OPTUNA_LIST = """
import sys
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(storage=sys.argv[1], study_name="s")
for trial in study.get_trials(deepcopy=False)[-20:]:
    print(trial.number, trial.state.name, trial.value, trial.params)
print(study.best_trial.number)
"""


def measure(folder: Path, size: int) -> Iterator[dict[str, Any]]:
    """The figures of a history of so many runs."""
    path = folder / "runs.db"
    measured(["-c", FILL, str(path), str(size)])
    fields = real_run()[1]
    yield {"what": "the file", "mb": round(path.stat().st_size / 1e6, 1)}
    env = {"SFTGUIDE_STORAGE": str(path), "COLUMNS": "120", "HF_HUB_OFFLINE": "1"}
    for name, words in COMMANDS.items():
        given = [str(folder / w) if w == "report.html" else w for w in words]
        given = [str(PROJECT / w) if w.startswith("recipes/") else w for w in given]
        call = ["-m", "axolotl_sftguide", *given]
        yield {"what": f"sftguide {name}", **measured(call, env)}
    page = folder / "report.html"
    yield {"what": "the report's page", "mb": round(page.stat().st_size / 1e6, 1)}
    complete = {
        **env,
        "_SFTGUIDE_COMPLETE": "bash_complete",
        "COMP_WORDS": "sftguide runs show run-0",
        "COMP_CWORD": "3",
    }
    call = ["-c", COMPLETE.replace("main()", "main(prog_name='sftguide')")]
    yield {"what": "completion of a name", **measured(call, complete)}
    for name, part in (("start of a run", ""), ("start and all looks", "looks")):
        out = folder / "start"
        call = ["-c", START, str(path), json.dumps(fields), part]
        figures = measured(call, env, out=out)
        inside = {
            key: round(value, 3)
            for said in out.read_text().splitlines()
            for key, value in json.loads(said).items()
        }
        yield {"what": name, **figures, **inside}
    url = f"sqlite:///{folder / 'optuna.db'}"
    measured(["-c", OPTUNA_FILL, url, str(size)])
    yield {"what": "Optuna: last 20 and the best", **measured(["-c", OPTUNA_LIST, url])}


def real_run() -> tuple[dict[str, Any], dict[str, Any]]:
    """The config and the key fields of a run that TRL trained."""
    asset = PROJECT / "tests" / "assets" / "version-0.1.0" / "runs.db"
    real = sqlite3.connect(f"file:{asset}?mode=ro", uri=True)
    config, fields = real.execute("SELECT config, key_fields FROM runs").fetchone()
    real.close()
    return json.loads(config), json.loads(fields)


def fill(history: Any, size: int) -> None:
    """Finished, scored runs with the config of a real one, and its key fields."""
    from axolotl_sftguide.runs.history import _tables as t
    from axolotl_sftguide.runs.history import this_process

    config, fields = real_run()
    draw, process = random.Random(0), this_process()
    engine = sa.create_engine(history._database._engine.url)
    for begin in range(0, size, 500):
        runs, scores, points = [], [], []
        for i in range(begin, min(size, begin + 500)):
            name, level = f"r{i:06d}", draw.uniform(0.5, 1.5)
            row = {"id": name, "name": f"run-{i}", "study": "s", "key": "k"}
            row |= {"key_fields": fields, "comparable": True, "host": "trl"}
            own = {"learning_rate": 10 ** draw.uniform(-6, -2), "seed": i % 5}
            row |= {"config": {**config, **own}, "output_dir": f"/o/{name}"}
            row |= {"status": "finished", "max_steps": 16 * POINTS, "step": 992}
            row |= {"started_at": 60.0 * i, "heartbeat_at": 60.0 * i + 50, **process}
            row |= {"ended_at": 60.0 * i + 50, "samples_seen": STEP_SAMPLES * POINTS}
            row |= {"loss": level, "grad_norm": 1.0, "device": "cpu", "step_s": 0.05}
            runs.append(row)
            score = {"run_id": name, "metric": "m", "value": level, "goal": "max"}
            scores.append({**score, "recorded_at": 60.0 * i + 49, "origin": "run"})
            points += [
                {
                    "run_id": name,
                    "samples_seen": STEP_SAMPLES * j,
                    "loss": level + 1 / j,
                    "grad_norm": 2 - level + 1 / j,
                }
                for j in range(1, POINTS + 1)
            ]
        with engine.begin() as connection:
            connection.execute(sa.insert(t.runs), runs)
            connection.execute(sa.insert(t.scores), scores)
            connection.execute(sa.insert(t.points), points)
