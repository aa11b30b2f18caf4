"""The floors of the package: imports go down only, and each host has its files."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "axolotl_sftguide"

FLOORS = (
    {"errors", "units", "console", "correlation", "evidence", "axolotl_keys"},
    {"validation", "configs", "effective_batch", "model_configs"},
    {"mix_settings", "memory"},
    {
        "signals",
        "settings",
        "comparability",
        "terminated",
        "recipes",
        "cohort",
        "redaction",
        "last_made",
    },
    {"traces", "rules", "mixing", "advice"},
    {"judge", "run_history", "trainer_states"},
    {"history_writer", "lm_eval_results", "backtest", "optuna_storage", "throughput"},
    {"recorder"},
    {
        "noise_scale",
        "accumulation",
        "batches",
        "longest_first",
        "pace",
        "ranks",
        "scoring",
    },
    {"identity", "gradients"},
    {"capture"},
    {"watch"},
    {"callbacks"},
    {"plugin", "pruner"},
    {"optuna_export", "sweep"},
    {"cli"},
    {"__init__", "__main__"},
)
"""From the ground up. A module imports from floors below its own; within a package,
and on one floor, nobody imports a neighbour."""

HOSTS = {
    "axolotl": {"plugin"},
    "transformers": {"callbacks", "mixing"},
    "torch": {
        "accumulation",
        "batches",
        "capture",
        "gradients",
        "longest_first",
        "pace",
        "plugin",
        "ranks",
        "scoring",
    },
    "trl": set(),
    "peft": set(),
    "datasets": {"mixing"},
    "optuna": {"backtest", "cli", "pruner", "optuna_storage"},
    "accelerate": set(),
}
"""Which modules may name which host."""

PURE = FLOORS[0] | FLOORS[1] | FLOORS[2] | FLOORS[3] | FLOORS[4] | FLOORS[5]


def part_of(path: Path, package: Path) -> str:
    relative = path.relative_to(package)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path: Path, package: Path) -> Iterator[tuple[str, int]]:
    """Absolute names of all that a file imports, also inside functions."""
    here = [package.name, *path.relative_to(package).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            stem = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield ".".join([*stem, alias.name]), node.lineno


def violations(package: Path) -> list[str]:
    floor_of = {part: i for i, floor in enumerate(FLOORS) for part in floor}
    found = []
    for path in sorted(package.rglob("*.py")):
        part = part_of(path, package)
        where = path.relative_to(package)
        if part not in floor_of:
            found.append(f"{where}: stands on no floor")
            continue
        for name, line in imported(path, package):
            top, *rest = name.split(".")
            if top in HOSTS and part not in HOSTS[top]:
                found.append(f"{where}:{line}: names {top}")
            if top != package.name or not rest or rest[0] in (part, "__version__"):
                continue
            if rest[0] not in floor_of or floor_of[rest[0]] >= floor_of[part]:
                found.append(f"{where}:{line}: goes up to {rest[0]}")
    return found


def test_imports_go_down_only_and_hosts_stay_in_their_files() -> None:
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "says"),
    [
        ("signals.py", "from .watch import Watch", "goes up to watch"),
        ("traces.py", "from .rules import fold", "goes up to rules"),
        ("rules/_base.py", "from ..judge import Judge", "goes up to judge"),
        ("rules/_base.py", "import axolotl_sftguide.callbacks", "goes up to callbacks"),
        ("judge.py", "import torch", "names torch"),
        ("watch.py", "from transformers import Trainer", "names transformers"),
        ("callbacks.py", "def f():\n    import axolotl", "names axolotl"),
        ("new_module.py", "", "stands on no floor"),
    ],
)
def test_the_test_above_is_able_to_fail(
    file: str, line: str, says: str, tmp_path: Path
) -> None:
    package = tmp_path / "axolotl_sftguide"
    (package / "rules").mkdir(parents=True)
    (package / file).write_text(line)
    (found,) = violations(package)
    assert says in found


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def run_cli(*words: str) -> str:
    return (
        "from click.testing import CliRunner\n"
        "from axolotl_sftguide.cli import main\n"
        f"assert CliRunner().invoke(main, {list(words)}).exit_code == 0"
    )


@pytest.mark.parametrize(
    ("code", "light"),
    [
        ("import axolotl_sftguide; dir(axolotl_sftguide)", {"pydantic", "sqlalchemy"}),
        (run_cli("--help"), {"pydantic", "sqlalchemy", "rich", "yaml"}),
        (run_cli("recipes", "list"), {"sqlalchemy", "rich"}),
        (run_cli("runs", "list"), {"pydantic"}),
        *(
            (f"import axolotl_sftguide.{part}", set())
            for part in sorted(PURE - {"rules"})
        ),
        ("import axolotl_sftguide.rules", {"sqlalchemy"}),
    ],
)
def test_what_starts_often_loads_no_host(code: str, light: set[str]) -> None:
    assert not loaded_by(code) & (set(HOSTS) | light)


def test_the_callbacks_do_load_their_host() -> None:
    """So the test above is able to fail."""
    assert "transformers" in loaded_by("import axolotl_sftguide.callbacks")


def test_importing_the_package_changes_nothing_in_the_process() -> None:
    code = (
        "import random, logging, signal, warnings\n"
        "def state(): return (random.getstate(), logging.root.handlers[:],\n"
        "    signal.getsignal(signal.SIGINT), warnings.filters[:])\n"
        "before = state()\n"
        "import axolotl_sftguide.run_history, axolotl_sftguide.rules\n"
        "import axolotl_sftguide.cli\n"
        "assert state() == before"
    )
    assert "axolotl_sftguide" in loaded_by(code)
