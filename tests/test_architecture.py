"""The architecture: imports follow docs/architecture.md, and hosts stay in place."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import axolotl_sftguide

PROJECT = Path(__file__).parent.parent
PACKAGE = Path(axolotl_sftguide.__file__).parent
"""Of the checkout, or of the wheel that is tested."""

TOP = set("__init__ __main__ console errors recipes safe_text students_t units".split())
OLD_NAMES = {"callbacks", "run_history", "settings", "terminated", "traces"}

HOSTS = {
    "axolotl": {"hosts/axolotl"},
    "transformers": {"hosts", "mixing"},
    "torch": {"hosts/axolotl", "hosts/simulation", "monitor"},
    "trl": set(),
    "peft": {"hosts/simulation"},
    "datasets": {"mixing"},
    "optuna": {"sweep", "cli"},
    "ray": {"sweep"},
    "accelerate": set(),
}
"""Which folders may import which host."""

LIGHT = [
    "signals",
    "evidence",
    "config",
    "stopping",
    "runs",
    "planning",
    "advice",
    "guidance",
]
"""Folders whose modules load no host."""


def arrows() -> dict[str, set[str]]:
    """From the table in docs/architecture.md: what each folder imports from."""
    text = (PROJECT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)/` \| [^|]+ \|([^|]*)\|$", text, flags=re.M)
    found = {folder: set(re.findall(r"`(\w+)`", cell)) for folder, cell in rows}
    everything = "every folder"
    for folder, cell in rows:
        if everything in cell:
            found[folder] = set(found) - {folder}
    return found


def imported(path: Path, package: Path) -> Iterator[tuple[str, int]]:
    """Absolute names of all that a file imports, also inside functions and strings."""
    here = [package.name, *path.relative_to(package).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            stem = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield ".".join([*stem, alias.name]), node.lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # The code of a child process names modules in a string.
            named = rf"\b(?:from|import) ({package.name}[\w.]+)"
            yield from ((name, node.lineno) for name in re.findall(named, node.value))


def modules(package: Path) -> list[Path]:
    """The package's own modules, without the files of recipes in a wheel."""
    shipped = package / "_shipped"
    return sorted(p for p in package.rglob("*.py") if shipped not in p.parents)


def violations(package: Path, allowed: dict[str, set[str]]) -> list[str]:
    found = []
    for path in modules(package):
        where = path.relative_to(package)
        folder = where.parts[0] if len(where.parts) > 1 else ""
        if not folder and path.stem in OLD_NAMES:
            continue
        if folder not in allowed if folder else path.stem not in TOP:
            found.append(f"{where}: is not in docs/architecture.md")
            continue
        for name, line in imported(path, package):
            fault = host_fault(where, name) or arrow_fault(where, name, allowed)
            if fault:
                found.append(f"{where}:{line}: imports {fault}")
    return found


def host_fault(where: Path, name: str) -> str:
    top = name.split(".")[0]
    homes = HOSTS.get(top)
    at_home = homes is None or any(f"{where}".startswith(f"{h}/") for h in homes)
    return "" if at_home else top


def arrow_fault(where: Path, name: str, allowed: dict[str, set[str]]) -> str:
    """What a module may not import of the package, or an empty string."""
    package, target, *rest = [*name.split("."), ""]
    folder = where.parts[0] if len(where.parts) > 1 else ""
    if package != PACKAGE.name or target in {"", folder, "__version__"} | TOP:
        return ""
    if target in OLD_NAMES:
        return f"the old name {target}"
    loads_late = not folder and where.stem in ("__init__", "__main__")
    if target not in allowed.get(folder, set()) and not loads_late:
        return target
    private = any(part.startswith("_") for part in rest)
    return f"a private module of {target}" if private else ""


def test_imports_follow_the_table() -> None:
    assert violations(PACKAGE, arrows()) == []


def test_the_table_lists_each_folder_and_has_no_circle() -> None:
    allowed = arrows()
    folders = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert set(allowed) == folders
    left = dict(allowed)
    while left:
        lowest = {name for name, below in left.items() if not below & set(left)}
        assert lowest, f"a circle among {sorted(left)}"
        left = {name: below for name, below in left.items() if name not in lowest}


def test_every_file_and_function_in_the_page_exists() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text()
    files = re.findall(r"`((?:axolotl_sftguide|tests)/[\w/.]+\.py)`", text)
    assert len(files) > 10
    assert [file for file in files if not found_at(file).is_file()] == []
    named = re.findall(r"`(axolotl_sftguide/[\w/.]+\.py)`:\s+`(\w+)`", text)
    assert len(named) > 10
    assert [
        (file, name)
        for file, name in named
        if f"def {name}(" not in found_at(file).read_text()
    ] == []


def found_at(file: str) -> Path:
    return (PACKAGE.parent if file.startswith(PACKAGE.name) else PROJECT) / file


def test_the_top_level_holds_few_modules_and_the_old_names() -> None:
    assert {p.stem for p in PACKAGE.glob("*.py")} == TOP | OLD_NAMES


@pytest.mark.parametrize(
    ("file", "line", "finding"),
    [
        ("signals/curves.py", "from ..monitor import ranks", "imports monitor"),
        ("runs/traces.py", "from ..stopping.rules import fold", "imports stopping"),
        ("stopping/judge.py", "import axolotl_sftguide.hosts", "imports hosts"),
        ("stopping/judge.py", "import torch", "imports torch"),
        ("monitor/session.py", "import transformers", "imports transformers"),
        ("hosts/trainer.py", "def f():\n    import axolotl", "imports axolotl"),
        ("sweep/x.py", "C = 'from axolotl_sftguide.hosts import x'", "imports hosts"),
        ("cli/mix.py", "from ..mixing._plan import plan", "a private module of mixing"),
        ("cli/mix.py", "from ..settings import BLOCK", "imports the old name settings"),
        ("units.py", "from .signals import Curve", "imports signals"),
        ("new_module.py", "", "is not in docs/architecture.md"),
        ("new_folder/x.py", "", "is not in docs/architecture.md"),
    ],
)
def test_the_test_of_imports_is_able_to_fail(
    file: str, line: str, finding: str, tmp_path: Path
) -> None:
    package = tmp_path / "axolotl_sftguide"
    (package / file).parent.mkdir(parents=True, exist_ok=True)
    (package / file).write_text(line)
    (found,) = violations(package, arrows())
    assert finding in found


def test_no_module_is_longer_than_300_lines_but_data() -> None:
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines())
        for path in modules(PACKAGE)
    }
    data = {
        "evidence/claims.py",
        "advice/_catalogue.py",
        "advice/_refusals_model.py",
        "advice/_refusals_rest.py",
    }
    assert {n: c for n, c in lengths.items() if c > 300 and n not in data} == {}


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


def every_module_of(folder: str) -> str:
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        if path.stem != "__init__"
    ]
    return "import " + ", ".join([f"axolotl_sftguide.{folder}", *names])


@pytest.mark.parametrize(
    ("code", "light"),
    [
        ("import axolotl_sftguide; dir(axolotl_sftguide)", {"pydantic", "sqlalchemy"}),
        (run_cli("--help"), {"pydantic", "sqlalchemy", "rich", "yaml"}),
        (run_cli("recipes", "list"), {"sqlalchemy"}),
        (run_cli("evidence"), {"sqlalchemy"}),
        (run_cli("evidence", "two-epochs", "--json"), {"sqlalchemy", "rich"}),
        (run_cli("runs", "list"), {"pydantic"}),
        *((every_module_of(folder), set()) for folder in LIGHT),
        (every_module_of("stopping"), {"sqlalchemy"}),
        ("import axolotl_sftguide.mixing", {"numpy", "orjson"}),
        ("import axolotl_sftguide.mixing.last_made", {"numpy", "orjson"}),
    ],
)
def test_what_starts_often_loads_no_host(code: str, light: set[str]) -> None:
    assert not loaded_by(code) & (set(HOSTS) | light)


def test_what_is_attached_to_a_trainer_does_load_a_host() -> None:
    """So the test above is able to fail."""
    assert "torch" in loaded_by("import axolotl_sftguide.monitor.gradients")


def test_importing_the_package_changes_nothing_in_the_process() -> None:
    code = (
        "import random, logging, signal, warnings\n"
        "def state(): return (random.getstate(), logging.root.handlers[:],\n"
        "    signal.getsignal(signal.SIGINT), warnings.filters[:])\n"
        "before = state()\n"
        "import axolotl_sftguide.runs.history, axolotl_sftguide.stopping.rules\n"
        "import axolotl_sftguide.cli\n"
        "assert state() == before"
    )
    assert "axolotl_sftguide" in loaded_by(code)
