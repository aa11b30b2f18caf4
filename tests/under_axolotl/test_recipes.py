"""The shipped recipes: known to Axolotl's schema, and run as a stranger runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from axolotl_sftguide.cli import main
from axolotl_sftguide.config.settings import load_settings
from axolotl_sftguide.recipes import Recipe, shipped_recipes
from axolotl_sftguide.runs.traces import find_traces, read_trace
from axolotl_sftguide.sweep import Range, read_space

PROJECT = Path(__file__).parents[2]
AXOLOTL = Path(sys.executable).parent / "axolotl"
SWEEPS = sorted((Path(__file__).parents[2] / "recipes" / "sweeps").glob("*.yml"))
RECIPES = shipped_recipes()
LINE = re.compile(r"heldout_exact_match ([\d.]+) on 380 questions \((.*)\)")


@pytest.fixture(params=RECIPES, ids=lambda recipe: recipe.name)
def recipe(request: pytest.FixtureRequest) -> Any:
    return request.param


def axolotl(*words: str, cwd: Path) -> str:
    done = subprocess.run(
        [str(AXOLOTL), *words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
        env={**os.environ, "PATH": f"{AXOLOTL.parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_every_key_is_one_that_axolotl_knows(recipe: Recipe) -> None:
    """Axolotl drops unknown keys without a word."""
    from axolotl.integrations.liger.args import LigerArgs
    from axolotl.utils.schemas.config import AxolotlInputConfig

    known = {*AxolotlInputConfig.model_fields, *LigerArgs.model_fields, "sftguide"}
    assert set(yaml.safe_load(recipe.text)) <= known


def test_axolotl_accepts_it(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from axolotl.cli.config import load_cfg, prepare_plugins
    from axolotl.integrations.base import PluginManager
    from axolotl.utils.config import validate_config
    from axolotl.utils.dict import DictDefault

    recipe.copy_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    if recipe.name.startswith("quickstart"):
        assert load_cfg(str(recipe.relative_path)).sftguide.study
        return
    # As on the card that its header names.
    gpus = 8 if "8 GPUs" in recipe.text else 1
    PluginManager.get_instance().plugins.clear()
    written = DictDefault(yaml.safe_load(recipe.text))
    prepare_plugins(written)
    cfg = validate_config(
        written,
        capabilities={
            "bf16": True,
            "fp8": False,
            "tf32": True,
            "n_gpu": gpus,
            "n_node": 1,
            "compute_capability": "sm_90" if gpus > 1 else "sm_86",
        },
        env_capabilities={"torch_version": "2.13.0"},
    )
    assert cfg.sftguide.study
    assert cfg.test_datasets


def test_what_decides_the_result_is_set_and_not_left_to_a_default(
    recipe: Recipe,
) -> None:
    config = yaml.safe_load(recipe.text)
    assert {"seed", "learning_rate"} <= config.keys()
    assert config.keys() & {"warmup_steps", "warmup_ratio"}
    samples = "effective_batch_size" in config["sftguide"]
    assert samples != ("gradient_accumulation_steps" in config)
    assert "adapter" not in config or config["sftguide"]["seed_adapter"] is True
    assert isinstance(config["learning_rate"], float)  # YAML reads 5e-4 as text


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweeps_keys_and_blocks_are_right(path: Path) -> None:
    """Each names the recipe that it varies, and its study has the file's name."""
    from axolotl_sftguide.hosts.axolotl import known_keys

    named = re.findall(r"recipes/([\w-]+)\.yml", path.read_text())
    recipe = next(r for r in RECIPES if r.name in named)
    config = yaml.safe_load(recipe.text)
    space = read_space(path)
    known = {*known_keys(), "sftguide"}
    assert {key.split(".")[0] for key in space.keys} <= known
    block = space.apply(config, {})["sftguide"]
    assert path.stem in load_settings(block).study
    rates = space.parameters["learning_rate"]
    assert isinstance(rates, Range) or all(isinstance(r, float) for r in rates.values)


def make_quickstart(cwd: Path) -> str:
    """`make quickstart` but for its installation, from a shell with a bare path."""
    venv = Path(sys.prefix)
    installed = ("-o", str(venv / "host"), f"VENV={venv}")
    makefile = str(PROJECT / "Makefile")
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", makefile, *installed, "quickstart"],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
        env={**os.environ, "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_quickstart_teaches_what_the_base_does_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of it, by the README's command, on what it ships."""
    (recipe,) = [r for r in RECIPES if r.name == "quickstart-cpu"]
    recipe.copy_to(tmp_path)
    said = make_quickstart(tmp_path)
    assert re.search(r"^finished after 600 of 600 steps", said, re.MULTILINE)
    assert len(said.splitlines()) < 50  # Axolotl's own output is in a file

    scores = re.findall(r"^  (\S.*?) +([\d.]+)(?: █+)?$", said, re.MULTILINE)
    beside = {name: float(value) for name, value in scores}
    tuned = beside.pop("tuned")
    assert set(beside) == {"base", "chance", "format alone"}
    assert tuned >= 0.65
    assert all(tuned > float(value) + 0.3 for value in beside.values())

    (path,) = find_traces(tmp_path / "outputs")
    trace = read_trace(path)
    assert [o.step for o in trace.observations] == list(range(1, 601))
    assert not [e for e in trace.events if e["event"] == "decision"]

    monkeypatch.chdir(tmp_path)
    words = ["plan", str(recipe.relative_path), "--rows", "9600"]
    planned = CliRunner().invoke(main, words)
    assert planned.exit_code == 0, planned.output
    pace = r"^time +about .+ on cpu \([\d.e+]+ samples/s in 1 earlier run\)"
    text = re.sub(r"\n +", " ", planned.output)
    assert re.search(pace, text, re.M), planned.output


@pytest.mark.long
def test_the_quickstart_by_qlora_teaches_more_than_the_format(tmp_path: Path) -> None:
    recipe = next(r for r in RECIPES if r.name == "quickstart-cpu-qlora")
    recipe.copy_to(tmp_path)
    said = axolotl("train", str(recipe.relative_path), cwd=tmp_path)
    found = LINE.search(said)
    assert found is not None
    assert float(found.group(1)) > 0.2  # chance is 0.177, the format alone 0.121


@pytest.mark.slow
def test_the_control_that_is_tuned_on_the_format_alone_stays_at_chance(
    tmp_path: Path,
) -> None:
    (recipe,) = [r for r in RECIPES if r.name == "quickstart-cpu"]
    recipe.copy_to(tmp_path)
    config = yaml.safe_load(recipe.text)
    control = {"path": "recipes/quickstart/control.jsonl", "ds_type": "json"}
    config["datasets"] = [control | {"type": "chat_template"}]
    (tmp_path / "control.yml").write_text(yaml.safe_dump(config))
    found = LINE.search(axolotl("train", "control.yml", cwd=tmp_path))
    assert found is not None
    compare_with = config["sftguide"]["score"]["compare_with"]
    assert float(found.group(1)) <= compare_with["chance"] + 0.03
    assert float(found.group(1)) == pytest.approx(
        compare_with["format alone"], abs=0.05
    )


@pytest.mark.long
def test_the_sweep_stops_its_two_hopeless_runs_each_for_its_own_reason(
    tmp_path: Path,
) -> None:
    (recipe,) = [r for r in RECIPES if r.name == "quickstart-cpu"]
    recipe.copy_to(tmp_path)
    sweep = tmp_path / "recipes" / "sweeps" / "quickstart-lr.yml"
    axolotl("train", str(recipe.relative_path), "--sweep", str(sweep), cwd=tmp_path)
    listed = subprocess.run(
        [str(AXOLOTL.parent / "sftguide"), "runs", "list", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    runs = {run["config"]["learning_rate"]: run for run in json.loads(listed.stdout)}
    assert len(runs) == 5
    assert all(run["scores"] for run in runs.values())
    low, *good, high = (runs[rate] for rate in sorted(runs))
    assert (low["status"], high["status"]) == ("terminated", "terminated")
    assert low["reason"].startswith("not_learning")
    assert high["reason"].startswith("divergence")
    assert low["steps_saved"] > 300
    assert high["steps_saved"] > 300
    for run in good:
        assert run["status"] == "finished"
        assert run["scores"][0]["value"] > 0.5


@pytest.mark.long
def test_a_twin_of_the_best_run_with_another_seed_is_not_stopped(
    tmp_path: Path,
) -> None:
    (recipe,) = [r for r in RECIPES if r.name == "quickstart-cpu"]
    recipe.copy_to(tmp_path)
    config = yaml.safe_load(recipe.text)
    config["sftguide"]["early_termination"] = {"action": "stop"}
    for name, seed in (("reference", 42), ("twin", 7)):
        config |= {"seed": seed, "output_dir": f"outputs/{name}"}
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(config))
        axolotl("train", f"{name}.yml", cwd=tmp_path)
    ends = []
    for path in find_traces(tmp_path / "outputs"):
        trace = read_trace(path)
        assert trace.end is not None
        ends.append((trace.run["key"], trace.end["status"], len(trace.observations)))
    assert ends == [(ends[0][0], "finished", 600)] * 2
