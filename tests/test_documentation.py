"""Blocks, tables and links of the README and the docs are run or checked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from forked import Forked

from axolotl_sftguide import _HOME
from axolotl_sftguide.config.rule_settings import EvaluationSettings
from axolotl_sftguide.config.settings import Settings, load_settings
from axolotl_sftguide.mixing import MixSettings, SourceSettings, load_mix
from axolotl_sftguide.recipes import shipped_recipes
from axolotl_sftguide.signals import Observation, window_logs
from axolotl_sftguide.signals.noise_scale import NoiseScale, noise_scale_logs
from axolotl_sftguide.sweep import read_space

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
SITE = PROJECT / "docs" / "index.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# \w+\.py\n")
"""A file of the walk that tests/under_axolotl/test_start_page.py follows."""
RAY = "from ray import"
"""A part of a script for a cluster; test_ray_stopper.py runs its stopper in Ray."""


def blocks(language: str) -> list[Any]:
    found = [
        (f"{page.name}-{i}", *match.groups())
        for page in PAGES
        for i, match in enumerate(BLOCK.finditer(page.read_text()))
    ]
    return [
        pytest.param(text, id=name)
        for name, written_in, text in found
        if written_in == language and not FILE.match(text) and RAY not in text
    ]


@pytest.mark.slow
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
    if text.startswith("# .pre-commit-config.yaml"):
        (repo,) = yaml.safe_load(text)
        offered = yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text())
        assert [hook["id"] for hook in repo["hooks"]] == [h["id"] for h in offered]
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


def test_every_block_has_a_language_that_a_test_reads() -> None:
    """`sh` blocks are run by test_documented_commands.py; `text` is output."""
    read = {"python", "yaml", "sh", "text", "{toctree}", "{include}", "{eval-rst}"}
    read.add("{literalinclude}")
    for page in PAGES:
        opened = re.findall(r"^```(.*)\n(?:.*\n)*?```$", page.read_text(), re.MULTILINE)
        words = {(first.split() or ["none"])[0] for first in opened}
        assert words <= read, page.name


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    pages = {page.stem for page in PAGES[1:]} - {"index"}
    entries = re.findall(r"^[A-Z].* <(\S+)>$", SITE.read_text(), re.MULTILINE)
    assert sorted(entries) == sorted(pages), (
        "add the page to a toctree in docs/index.md"
    )


def test_the_front_page_of_the_site_lists_what_the_readme_lists() -> None:
    def rows(page: Path) -> list[tuple[str, str, str]]:
        table = page.read_text().partition("| you want to |")[2].partition("\n\n")[0]
        cells = [line.split("|")[1:4] for line in table.splitlines()[2:]]
        return [(want.strip(), say.strip(), link) for want, say, link in cells]

    readme, site = rows(PAGES[0]), rows(SITE)
    assert [row[:2] for row in site] == [row[:2] for row in readme]
    pages = re.findall(r"\(docs/(\S+\.md)\)", " ".join(row[2] for row in readme))
    linked = re.findall(r"\((\S+\.md)\)", " ".join(row[2] for row in site))
    assert len(pages) > 10
    assert set(pages) <= set(linked)


def test_the_page_of_recipes_lists_them_as_the_command_does() -> None:
    text = (PROJECT / "docs" / "recipes.md").read_text()
    shown = re.findall(r"^\| `([^`]+)` \| (.*) \|$", text, re.MULTILINE)
    assert shown == [(recipe.name, recipe.summary) for recipe in shipped_recipes()]


def test_the_versions_on_the_pages_are_those_that_are_tested() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    lock = dict(
        line.split("==")
        for line in (PROJECT / "tests" / "trl-lock.txt").read_text().splitlines()
        if "==" in line
    )
    axolotl = re.search(r"AXOLOTL := axolotl==(\S+)", makefile).group(1)  # type: ignore[union-attr]
    page = (PROJECT / "docs" / "hosts.md").read_text()
    assert f"| Axolotl | {axolotl} |" in page
    pinned = {name: version(name) for name in ("transformers", "trl")}
    assert f"transformers {pinned['transformers']}, TRL {pinned['trl']} |" in page
    assert f"| TRL without Axolotl | {lock['trl']} |" in page
    assert f"transformers {lock['transformers']}, torch {lock['torch']} |" in page
    states = re.search(r"TRANSFORMERS := (.*)", makefile).group(1)  # type: ignore[union-attr]
    assert f"| transformers {', '.join(states.split())} |" in page
    readme = PAGES[0].read_text()
    assert f"with Axolotl {axolotl} (transformers {pinned['transformers']}," in readme
    assert f"TRL {lock['trl']} (transformers {lock['transformers']})" in readme


def test_the_guide_for_contributors_and_the_pages_have_every_make_target() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE)
    pages = [PROJECT / "CONTRIBUTING.md", *PAGES]
    named = {
        name
        for page in pages
        for name in re.findall(r"`make ([a-z-]+)", page.read_text())
    }
    assert "quickstart" in targets
    assert set(targets) <= named


def test_the_api_page_has_every_public_name() -> None:
    text = (PROJECT / "docs" / "api.md").read_text()
    named = set(re.findall(r"^\.\. auto\w+:: axolotl_sftguide\.(\w+)", text, re.M))
    assert named >= set(_HOME), "add it to docs/api.md"


def test_the_figures_of_the_signals_are_those_of_the_recorded_runs() -> None:
    images = PROJECT / "docs" / "images"
    sys.path.insert(0, str(images))
    from signal_figures import figure

    runs = json.loads((images / "signals.json").read_text())["runs"]
    for name, run in runs.items():
        assert (images / f"signals-{name}.svg").read_text() == figure(name, run)
    page = (PROJECT / "docs" / "signals.md").read_text()
    for run in runs.values():
        for found in run["verdicts"]:
            assert found["reason"] in " ".join(page.split())


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {word.strip().replace(" ", "-") for word in words}


def test_links_between_pages_lead_to_a_file_and_a_heading() -> None:
    """As the strict build of the site does, which needs further tools."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^):\s]+)\)", text):
            path, _, anchor = link.partition("#")
            target = (page.parent / path) if path else page
            assert target.exists(), (page.name, link)
            assert not anchor or anchor in anchors(target), (page.name, link)


def test_links_to_other_sites_are_well_formed() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((https?:[^)]*)\)", page.read_text()):
            parts = urlsplit(link)
            assert parts.scheme == "https", link
            assert re.fullmatch(r"[a-z0-9.-]+\.[a-z]{2,}", parts.netloc), link
            assert not re.search(r"[\s<>]", link), link


@pytest.mark.slow
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
