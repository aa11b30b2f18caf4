"""What a user gets from the wheel alone, with no checkout on the path."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import axolotl_sftguide

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent.parent


def command(*words: str | Path, cwd: Path, rc: int = 0, messages: bool = False) -> str:
    """What a command prints on stdout, with its messages on stderr if asked for."""
    done = subprocess.run(
        [str(w) for w in words], cwd=cwd, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == rc, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + (done.stderr if messages else "")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", folder)
    command(*build, PROJECT, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the hosts of this one and the wheel, not the checkout."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False, symlinks=True)
    found = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    # A plain path: the .pth file of an editable install in there is not read.
    (packages / "hosts.pth").write_text("\n".join(site.getsitepackages()))
    pip = (sys.executable, "-m", "pip", "--python", found, "install", "-q", "--no-deps")
    command(*pip, "--force-reinstall", wheel, cwd=folder)
    return found


def test_the_wheel_holds_the_package_and_the_recipes_and_nothing_else(
    wheel: Path,
) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    version = axolotl_sftguide.__version__
    assert tops == {"axolotl_sftguide", f"axolotl_sftguide-{version}.dist-info"}
    assert "axolotl_sftguide/_shipped/recipes/quickstart-cpu.yml" in names
    assert "axolotl_sftguide/_shipped/skills/sftguide/SKILL.md" in names
    assert "axolotl_sftguide/py.typed" in names
    assert wheel.stat().st_size < 5_000_000


def test_installing_the_wheel_changes_no_package_that_is_there(
    wheel: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    pip = (sys.executable, "-m", "pip", "install", "--dry-run", "-q", "--report")
    command(*pip, report, "--force-reinstall", "--no-deps", wheel, cwd=tmp_path)
    command(*pip, report, wheel, cwd=tmp_path)
    planned = [x["metadata"]["name"] for x in json.loads(report.read_text())["install"]]
    assert set(planned) <= {"axolotl-sftguide"}


def test_the_users_path_works_without_a_checkout(python: Path, tmp_path: Path) -> None:
    code = "import axolotl_sftguide as a; print(a.__file__)"
    assert str(PROJECT) not in command(python, "-c", code, cwd=tmp_path)
    sftguide = python.parent / "sftguide"
    assert "quickstart-cpu" in command(sftguide, "recipes", "list", cwd=tmp_path)
    judged = command(sftguide, "evidence", "low-norm-high-loss", cwd=tmp_path)
    assert "does not hold" in judged
    copy = (sftguide, "recipes", "copy", "quickstart-cpu", "mine")
    copied = command(*copy, cwd=tmp_path, messages=True)
    assert "cd mine && axolotl train recipes/quickstart-cpu.yml" in copied

    mine = tmp_path / "mine"
    recipe = mine / "recipes" / "quickstart-cpu.yml"
    config = yaml.safe_load(recipe.read_text())
    short = mine / "short.yml"
    short.write_text(yaml.safe_dump({**config, "max_steps": 4, "logging_steps": 2}))
    train = (python, "-m", "axolotl.cli.train", short)
    said = command(*train, cwd=mine)
    assert "sftguide: watching run" in said
    assert "heldout_exact_match" in said
    listed = command(sftguide, "runs", "list", "--json", cwd=tmp_path)
    (run,) = json.loads(listed)
    assert (run["status"], run["step"]) == ("finished", 4)
    assert Path(run["trace_path"]).is_relative_to(mine)


@pytest.mark.slow
def test_the_callbacks_work_from_the_wheel(
    python: Path, base: Path, data: Path, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from hosts import make_sft_trainer\n"
        "import axolotl_sftguide as a\n"
        "base, data, out = map(Path, sys.argv[2:5])\n"
        "watch = [a.GradientMonitorCallback(), a.EarlyTerminationCallback()]\n"
        "trainer, _ = make_sft_trainer(base, data, out, *watch, max_steps=4)\n"
        "trainer.train()\n"
        "print(a.__file__, 'axolotl' in sys.modules)\n"
    )
    support = PROJECT / "tests" / "support"
    said = command(python, script, support, base, data, tmp_path, cwd=tmp_path)
    assert str(PROJECT) not in said.splitlines()[-1]
    assert said.splitlines()[-1].endswith("False")  # no Axolotl for TRL
    assert "watching run" in said


def test_axolotl_offers_the_command_line_as_a_subcommand(tmp_path: Path) -> None:
    axolotl = Path(sys.executable).parent / "axolotl"
    said = command(axolotl, "sftguide", "runs", "list", cwd=tmp_path, messages=True)
    assert f"storage: sqlite:///{os.environ['SFTGUIDE_STORAGE']}" in said
