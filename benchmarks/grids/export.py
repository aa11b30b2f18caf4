"""Write the finished runs of a study as a grid in JSON.

    python export.py STUDY --storage runs.db --base base --what 'batch, learning rate'

Runs and scores come from the run history, the points from the runs' traces. A point is
`[step, samples seen, loss, gradient norm, learning rate]`; loss and norm are means
since the point before, and a value that is not finite is `null`.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from axolotl_sftguide.config.differences import flatten, varied_keys
from axolotl_sftguide.runs.history import Run, RunHistory
from axolotl_sftguide.runs.traces import read_trace

POINTS = 64


def point(steps: Sequence[Any]) -> list[float | int | None]:
    """The last of some steps, with the mean of their losses and norms."""
    last = steps[-1]
    values = (
        sum(s.loss for s in steps) / len(steps),
        sum(s.grad_norm for s in steps) / len(steps),
    )
    rounded = [float(f"{v:.5g}") if math.isfinite(v) else None for v in values]
    rate = float(f"{last.learning_rate:.4g}")
    return [last.step, last.samples_seen, *rounded, rate]


def points(run: Run) -> list[list[float | int | None]]:
    """The run's curve in at most `POINTS` points of equal length."""
    if run.trace_path is None:
        raise SystemExit(f"{run.name}: its trace is gone")
    steps = read_trace(run.trace_path).observations
    each = math.ceil(len(steps) / POINTS)
    return [point(steps[i : i + each]) for i in range(0, len(steps), each)]


def grid_of(runs: Sequence[Run], what: str) -> dict[str, Any]:
    """The runs with what differs between them, their scores and curves."""
    varied = varied_keys([run.config for run in runs])
    if any(key.startswith("sftguide.mix.") for key in varied):
        varied.remove("datasets")  # the folder of the mix
    rows = []
    for run in runs:
        flat = flatten(run.config)
        config = {key: flat.get(key) for key in varied}
        scores = {s.metric: s.value for s in run.scores if math.isfinite(s.value)}
        if run.status != "finished" or not scores:
            continue
        rows.append(
            {
                "id": run.name,
                "config": config,
                "samples_per_step": run.samples_seen // max(run.step, 1),
                "scores": scores,
                "warnings": [[d.rule, d.step] for d in run.decisions],
                "seconds": round((run.ended_at or run.heartbeat_at) - run.started_at),
                "points": points(run),
            }
        )
    goals = dict(
        sorted(((s.metric, s.goal) for r in runs for s in r.scores), reverse=True)
    )
    return {"what differs": what, "scores": goals, "runs": rows}


def commit() -> str:
    """The commit of this checkout, with a plus sign if files have changed."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here)]
    head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    status = subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True)
    return head + ("+" if status.strip() else "")


def main() -> None:
    """Write `results/STUDY.json`."""
    parser = argparse.ArgumentParser(description="Write a study as a grid in JSON.")
    parser.add_argument("study")
    parser.add_argument("--storage", required=True)
    parser.add_argument("--base", type=Path, required=True, help="the base's folder")
    parser.add_argument("--what", required=True, help="what differs, in words")
    parser.add_argument("--planned", type=int, help="runs that the grid should have")
    parser.add_argument("--commit", help="that trained them; default: this checkout's")
    parser.add_argument("--kept-aside", action="store_true")
    parser.add_argument("--to", type=Path, help="default: results/STUDY.json")
    args = parser.parse_args()
    history = RunHistory(args.storage)
    runs = sorted(history.runs(study=args.study), key=lambda run: run.name)
    if not runs:
        raise SystemExit(f"{args.storage}: no run of the study {args.study!r}")
    base = json.loads((args.base / "base.json").read_text(encoding="utf-8"))
    names = ("torch", "transformers", "trl", "peft", "axolotl", "axolotl-sftguide")
    grid = {
        "name": args.study,
        "kept_aside": args.kept_aside,
        **grid_of(runs, args.what),
        "setting": {
            "versions": {name: version(name) for name in names},
            "python": platform.python_version(),
            "processor": f"{platform.machine()}, no GPU, one thread",
            "base_sha256": base["sha256"]["model.safetensors"],
            "data": runs[0].key_fields["data"],
            "commit": args.commit or commit(),
        },
    }
    done, planned = len(grid["runs"]), args.planned or len(grid["runs"])
    grid["planned"] = planned
    path = args.to or Path(__file__).parent / "results" / f"{args.study}.json"
    lines = ",\n  ".join(
        json.dumps(run, ensure_ascii=False) for run in grid.pop("runs")
    )
    head = json.dumps(grid, indent=1, ensure_ascii=False).removesuffix("\n}")
    path.write_text(f'{head},\n "runs": [\n  {lines}\n ]\n}}\n', encoding="utf-8")
    print(f"{path}: {done} of {planned} runs")


if __name__ == "__main__":
    main()
