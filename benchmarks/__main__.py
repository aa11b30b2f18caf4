"""Makes the figures of README and docs again: `make bench`.

    python benchmarks [NAME ...] [--data FOLDER] [--list]

Runs the benchmarks that can be run here, each into its file in `benchmarks/results`,
and then compares the pages with them (`figures.py`). `make bench WRITE=1` also puts the
new figures into the pages. A benchmark that needs what is not here is left out, with
the reason, and its results stay as they are.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
TRL = HERE.parent / ".venv-trl" / "bin" / "python"


@dataclass(frozen=True)
class Benchmark:
    """One command that makes results."""

    name: str
    command: str
    """After `python benchmarks/`; DATA is the folder of other people's data."""
    peer: str = ""
    """What its figures are a ratio to, in the same run."""
    minutes: float = 1
    needs: Sequence[str] = ()
    """Files in DATA, modules, programs, `gpu`, or an environment."""
    quiet: bool = False
    """Its figures are seconds on the clock: other work on the machine changes them."""

    def missing(self, data: Path) -> list[str]:
        return [need for need in self.needs if not _here(need, data)]


def _here(need: str, data: Path) -> bool:
    kind, _, name = need.partition(":")
    if kind == "data":
        return (data / name).exists()
    if kind == "module":
        return importlib.util.find_spec(name) is not None
    if kind == "program":
        return shutil.which(name) is not None
    if kind == "trl":
        return TRL.exists()
    return shutil.which("nvidia-smi") is not None


def results(name: str) -> str:
    return f"--out benchmarks/results/{name}.json"


BENCHMARKS = (
    Benchmark("cli_start", f"cli_start.py {results('cli_start')}", "axolotl --help", 2),
    Benchmark(
        "overhead",
        f"overhead.py {results('overhead')}",
        "the trainer's own clipping; the norm of each parameter, read one by one",
        2,
    ),
    Benchmark(
        "overhead, every step",
        f"overhead.py --every 1 --name 'every step' {results('overhead')}",
        "the trainer's own clipping",
        2,
    ),
    Benchmark(
        "overhead, logged rarely",
        "overhead.py --steps 50 --logging-steps 500 --name 'logged rarely' "
        + results("overhead"),
        "the trainer's own clipping",
        5,
    ),
    Benchmark(
        "overhead, wandb",
        f"overhead.py --wandb --name wandb {results('overhead')}",
        "wandb.watch",
        5,
        ("module:wandb",),
    ),
    Benchmark(
        "loss_by_source",
        f"loss_by_source.py {results('loss_by_source')}",
        "a step without it",
        5,
    ),
    Benchmark(
        "loss_by_source, newest TRL",
        f"loss_by_source.py {results('loss_by_source')}",
        "a step without it",
        5,
        ("trl:",),
    ),
    Benchmark(
        "history",
        f"history.py --optuna 50 {results('history')}",
        "an Optuna study",
        6,
        ("module:optuna",),
    ),
    Benchmark("report", f"report.py {results('report')}", minutes=15, quiet=True),
    Benchmark(
        "mixing",
        f"mixing.py --rows 200000 --arms mix duckdb polars {results('mixing')}",
        "DuckDB, Polars",
        10,
        ("module:duckdb", "module:polars"),
        quiet=True,
    ),
    Benchmark(
        "memory_reported",
        f"memory_reported.py {results('memory_reported')}",
        "fitcheck",
        2,
        ("program:fitcheck",),
    ),
    Benchmark("check_mistakes", f"check_mistakes.py {results('check_mistakes')}"),
    Benchmark(
        "check_examples",
        f"check_examples.py DATA/axolotl-examples {results('check_examples')}",
        "Axolotl's own validation",
        2,
        ("data:axolotl-examples",),
    ),
    Benchmark(
        "curves",
        f"curves.py DATA/curves.json {results('curves')}",
        minutes=3,
        needs=("data:curves.json",),
    ),
    Benchmark(
        "evaluation_patience",
        "evaluation_patience.py DATA/grids --rising peft_metamath "
        + results("evaluation_patience"),
        needs=("data:grids",),
    ),
    Benchmark(
        "stopping",
        f"stopping.py DATA/grids {results('stopping')}",
        "Optuna's pruners, Ray Tune's schedulers",
        90,
        ("data:grids", "module:optuna"),
    ),
    Benchmark(
        "parking",
        f"parking.py DATA/grids {results('parking')}",
        "stopping for good",
        60,
        ("data:grids",),
    ),
    Benchmark("coverage", "error_coverage.py --write", "the nominal level", 60),
    Benchmark(
        "gpu_recipes",
        "gpu_recipes.py --out benchmarks/results",
        "the plan",
        10,
        ("gpu:",),
    ),
    Benchmark(
        "gpu_overhead",
        "gpu_overhead.py --out benchmarks/results",
        "an unwatched training",
        10,
        ("gpu:",),
    ),
    Benchmark(
        "gpu_qlora", "gpu_qlora.py --out benchmarks/results", "the plan", 10, ("gpu:",)
    ),
)


def run(benchmark: Benchmark, data: Path) -> int:
    """Run one benchmark from the root of the repository; its exit status."""
    python = str(TRL) if "trl:" in benchmark.needs else sys.executable
    command = [
        word.replace("DATA", str(data)) for word in shlex.split(benchmark.command)
    ]
    path = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.call(
        [python, f"benchmarks/{command[0]}", *command[1:]],
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of names; all without")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("SFTGUIDE_TEST_DATA") or "nowhere"),
        help="folder of other people's data; else SFTGUIDE_TEST_DATA",
    )
    parser.add_argument("--list", action="store_true", help="only say what would run")
    parser.add_argument("--write", action="store_true", help="change the pages")
    asked = parser.parse_args()
    failed = []
    for benchmark in BENCHMARKS:
        if asked.names and not benchmark.name.startswith(tuple(asked.names)):
            continue
        missing = benchmark.missing(asked.data)
        about = f"{benchmark.name}, about {benchmark.minutes:g} min"
        about += f", beside {benchmark.peer}" * bool(benchmark.peer)
        about += ", needs a quiet machine" * benchmark.quiet
        if missing:
            print(f"-- {about}: left out, not here: {', '.join(missing)}", flush=True)
            continue
        print(f"-- {about}", flush=True)
        began = time.monotonic()
        if not asked.list and run(benchmark, asked.data):
            failed.append(benchmark.name)
            print(f"-- {benchmark.name} failed", flush=True)
        elif not asked.list:
            print(f"-- took {(time.monotonic() - began) / 60:.1f} min", flush=True)
    if asked.list:
        return
    figures = [sys.executable, str(HERE / "figures.py"), *["--write"] * asked.write]
    status = subprocess.call(figures)
    if failed:
        print(f"failed: {', '.join(failed)}")
    sys.exit(bool(failed) or status)


if __name__ == "__main__":
    main()
