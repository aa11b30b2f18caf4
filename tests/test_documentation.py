"""Every block of the README and the docs is run or checked."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from forked import Forked

from axolotl_sftguide.cli import main
from axolotl_sftguide.config.settings import (
    EvaluationSettings,
    Settings,
    load_settings,
)
from axolotl_sftguide.mixing import MixSettings, SourceSettings, load_mix
from axolotl_sftguide.signals import Observation, window_logs
from axolotl_sftguide.signals.noise_scale import NoiseScale, noise_scale_logs
from axolotl_sftguide.sweep import read_space

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[Any]:
    return [
        pytest.param(found.group(2), id=f"{page.name}-{i}")
        for page in PAGES
        for i, found in enumerate(BLOCK.finditer(page.read_text()))
        if found.group(1) == language
    ]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run_as_they_stand(
    code: str, forked: Forked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes").symlink_to(PROJECT / "recipes")
    script = tmp_path / "block.py"
    script.write_text(code)
    monkeypatch.chdir(tmp_path)
    printed = forked.run(script)
    if "trainer.train()" in code and ("callbacks=" in code or "watch(" in code):
        assert "sftguide: watching run" in printed
        assert list(tmp_path.rglob("sftguide-trace-*.jsonl"))


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_blocks_are_accepted(text: str, tmp_path: Path) -> None:
    if text.startswith("# space.yml"):
        (tmp_path / "space.yml").write_text(text)
        assert read_space(tmp_path / "space.yml").combinations() is None
        return
    if text.startswith("# spec.yml"):
        assert load_mix(yaml.safe_load(text)).strategy == "stacked"
        return
    config = yaml.safe_load(text)
    assert config["plugins"] == ["axolotl_sftguide.SFTGuidePlugin"]
    load_settings(config.get("sftguide"))


def test_the_documented_defaults_are_the_defaults() -> None:
    (page,) = [p for p in PAGES if p.name == "early-termination.md"]
    text = BLOCK.search(page.read_text()).group(2)  # type: ignore[union-attr]
    shown = load_settings(yaml.safe_load(text)["sftguide"]).early_termination
    default = Settings().early_termination
    for name in ("non_finite", "divergence", "not_learning", "cohort"):
        assert getattr(shown, name) == getattr(default, name)
    assert shown.comparison.model_copy(update={"action": None}) == default.comparison
    assert (shown.evaluation, default.evaluation) == (EvaluationSettings(), None)


def test_the_whole_block_is_shown_with_its_defaults() -> None:
    (page,) = [p for p in PAGES if p.name == "settings.md"]
    text = BLOCK.search(page.read_text()).group(2)  # type: ignore[union-attr]
    block = yaml.safe_load(text)["sftguide"]
    assert set(block) == set(Settings.model_fields)
    assert load_settings(block) == Settings()


def test_every_field_of_a_step_and_every_log_key_is_documented() -> None:
    text = (PROJECT / "docs" / "settings.md").read_text()
    step = Observation(1, 8, 1.0, 1.0, 1e-3)
    assert all(f"| `{field}` |" in text for field in asdict(step))
    assert all(f"`{key}`" in text for key in window_logs([step]))
    known = NoiseScale(99, 8.0, 1.0, 1.0, 1.0, 0.5, 2.0)
    assert all(f"`{key}`" in text for key in noise_scale_logs(known))


def test_every_setting_is_documented_somewhere() -> None:
    text = "\n".join(page.read_text() for page in PAGES)

    def names(model: Any) -> list[str]:
        found = []
        for name, value in dict(model).items():
            found.append(name)
            if hasattr(value, "model_fields_set"):
                found += names(value)
        return found

    missing = [name for name in names(Settings()) if f"{name}:" not in text]
    assert not missing


def test_every_key_of_a_mix_is_documented() -> None:
    text = (PROJECT / "docs" / "mixing.md").read_text()
    keys = [*MixSettings.model_fields, *SourceSettings.model_fields]
    assert [k for k in keys if f"`{k}`" not in text and f"{k}:" not in text] == []


@pytest.mark.parametrize("text", blocks("sh"))
def test_shell_blocks_name_only_commands_that_exist(text: str) -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words[:1] == ["make"]:
            assert f"\n{words[1]}:" in makefile
        if words[:1] == ["sftguide"]:
            command = main.get_command(click.Context(main), words[1])
            assert command is not None
            if isinstance(command, click.Group) and words[1] != "mix":
                assert words[2] in command.commands


def test_the_readmes_one_liner_fails_if_the_plugin_is_not_installed(
    tmp_path: Path,
) -> None:
    """The README's one-liner fails loudly where Axolotl would train on without."""
    line = next(x for x in PAGES[0].read_text().splitlines() if "python -c" in x)
    code = re.search(r'"(.*)"', line).group(1)  # type: ignore[union-attr]
    run = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120}
    installed = subprocess.run([sys.executable, "-c", code], **run)  # type: ignore[call-overload]
    assert installed.returncode == 0
    absent = subprocess.run([sys.executable, "-I", "-S", "-c", code], **run)  # type: ignore[call-overload]
    assert absent.returncode != 0
    assert "No module named 'axolotl_sftguide'" in absent.stderr
