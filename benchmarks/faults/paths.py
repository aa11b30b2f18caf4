"""Names that become files and folders, and files that are named like modules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import mutate
from campaign import Campaign, Wrong
from command import PROJECT


def _inside(folder: Path) -> Path:
    inside = folder / "inside"
    inside.mkdir()
    return inside


# Names that become files and folders


def _paths(folder: Path, rng: Random) -> None:
    """Names of studies, runs and mixes in a config: what they lead to."""
    from axolotl_sftguide.mixing import mix
    from axolotl_sftguide.recipes import find_recipe

    os.chdir(folder)
    name = rng.choice(
        [
            mutate.OUTSIDE, "/outside", "..", ".", "a/../../outside", "a/b", "x" * 300,
            "~/outside", "\\outside", "a\x00b", mutate.ESCAPE, mutate.SURROGATE, "",
            "../inside-not", *mutate.WORDS[4:24],
        ]
    )  # fmt: skip
    kind = rng.randrange(3)
    try:
        if kind == 0:
            (folder / "a.jsonl").write_text(
                json.dumps({"prompt": "q", "completion": "a"}) + "\n"
            )
            phase = {"name": name or "x", "datasets": [{"path": "a.jsonl"}]}
            mix({"phases": [phase]}, "mixes", workers=1)
        elif kind == 1:
            find_recipe(name).copy_to(folder)
        else:
            _sweep_folder(name)
    finally:
        _forget(folder)


def _sweep_folder(study: str) -> None:
    from axolotl_sftguide.sweep import output_folder_of

    path = output_folder_of(study)
    if not path.resolve().is_relative_to(Path("outputs").resolve()):
        raise Wrong(f"the study {study!r} has its trials in {path}")


def _forget(folder: Path) -> None:
    beside = [path.name for path in folder.parent.iterdir() if path != folder]
    if beside:
        raise Wrong(f"a file was written outside the folder: {beside[0]!r}")
    for path in folder.iterdir():
        if path.name != "runs.db":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


# Files in the working folder that are named like modules


_MODULES = (
    "orjson json logging yaml torch axolotl numpy pydantic sitecustomize usercustomize "
    "re typing pickle threading sqlalchemy rich click pyarrow site encodings"
).split()  # fmt: skip


def _trap(folder: Path) -> Path:
    """A folder with a dataset, a config, and modules that must not be imported."""
    for name in _MODULES:
        trap = f"import os\nopen({str(folder / 'sprung')!r}, 'a').write('{name} ')\n"
        (folder / f"{name}.py").write_text(trap + "raise ImportError('a trap')\n")
    rows = [{"prompt": f"q {i}", "completion": f"a {i}"} for i in range(20)]
    for name in ("a", "b"):
        lines = "\n".join(map(json.dumps, rows)) + "\n"
        (folder / f"{name}.jsonl").write_text(lines)
    datasets = [{"path": "a.jsonl"}, {"path": "b.jsonl"}]
    spec = {"phases": [{"name": "p", "datasets": datasets}]}
    (folder / "spec.yml").write_text(json.dumps(spec))
    recipe = (PROJECT / "recipes" / "quickstart-cpu.yml").read_text()
    (folder / "config.yml").write_text(recipe)
    (folder / "space.yml").write_text("lora_rr: [1, 2]\n")
    return folder


_ENTRY = (
    "import sys; sys.path[:] = [p for p in sys.path if p]\n"
    "from axolotl_sftguide.cli import main; main()"
)
"""As the installed command starts, whose folder of scripts is first on the path."""


def _spring(folder: Path, rng: Random) -> None:
    commands = [
        ["mix", "spec.yml", "--workers", "2", "-o", f"mixes{rng.random()}"],
        ["check", "config.yml", "--host"],
        ["sweep", "config.yml", "space.yml", "--storage", "s.db"],
    ]
    words = commands[rng.randrange(len(commands))]
    done = subprocess.run(
        [sys.executable, "-c", _ENTRY, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
    )
    sprung = folder / "sprung"
    if sprung.exists():
        found = sprung.read_text().split()[0]
        sprung.unlink()
        raise Wrong(f"{found}.py in the working folder is executed by {words[0]}")
    if "Traceback" in done.stderr:
        raise Wrong(f"{words[0]}: {done.stderr.strip().splitlines()[-1]}")


def _campaign(what: str, prepare: Any, attempt: Any, tries: int) -> Campaign:
    return Campaign("paths", what, tries, prepare, attempt)


CAMPAIGNS = (
    _campaign("names that become paths", _inside, _paths, 1000),
    _campaign("modules in the working folder", _trap, _spring, 6),
)
