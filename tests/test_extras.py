"""An install without an extra imports everything that does not need it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import Forked

SWEEP = {"optuna", "ray"}
MIX = {"orjson", "zstandard"}
WITH_THE_HOSTS = {"filelock", "numpy", "pyarrow"}
"""Of the extras, what every host installs too."""
HOSTS = {"accelerate", "axolotl", "datasets", "peft", "torch", "transformers", "trl"}
OF_AN_EXTRA = (
    "mixing._",
    "cli.mix_preview",
    "cli.mix_tables",
    "sweep.pruner",
    "sweep.ray_",
)
"""How the names of modules begin that only `[mix]`, `[sweep]` or `[ray]` uses."""

SCRIPT = """
import pkgutil, sys
from importlib import import_module
sys.modules.update(dict.fromkeys({absent!r}))  # None: not installed
import axolotl_sftguide as package

for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if found.name.endswith("__main__"):
        continue
    try:
        import_module(found.name)
    except ImportError:
        print("without:", found.name.removeprefix(package.__name__ + "."))
"""


@pytest.fixture
def without(forked: Forked, tmp_path: Path) -> Callable[[set[str]], set[str]]:
    """The modules that cannot be imported without some packages."""

    def names(absent: set[str]) -> set[str]:
        script = tmp_path / "imports.py"
        script.write_text(SCRIPT.format(absent=sorted(absent)))
        lines = forked.run(script).splitlines()
        return {line.split()[1] for line in lines if line.startswith("without: ")}

    return names


def test_without_mix_and_sweep_the_hosts_and_all_else_import(
    without: Callable[[set[str]], set[str]],
) -> None:
    found = without(MIX | SWEEP)
    assert "sweep.pruner" in found
    assert any(name.startswith("mixing._") for name in found)
    assert [name for name in found if not name.startswith(OF_AN_EXTRA)] == []


def test_without_any_extra_only_what_needs_one_does_not_import(
    without: Callable[[set[str]], set[str]],
) -> None:
    found = without(MIX | SWEEP | WITH_THE_HOSTS | HOSTS | {"psycopg"})
    of_a_host = (*OF_AN_EXTRA, "hosts.", "monitor.", "callbacks")
    assert [name for name in found if not name.startswith(of_a_host)] == []


@pytest.mark.parametrize(
    "words", [["--help"], ["runs", "list"], ["recipes", "list"], ["mix", "--help"]]
)
def test_without_any_extra_the_command_line_starts(words: list[str]) -> None:
    absent = sorted(MIX | SWEEP | WITH_THE_HOSTS | HOSTS | {"psycopg"})
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
        f"from axolotl_sftguide.cli import main; main({words})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
