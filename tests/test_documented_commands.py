"""The commands of the README, the docs and the skill are run as they are written."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from made_studies import make_study

from axolotl_sftguide.cli import main

PROJECT = Path(__file__).parent.parent
SKILL = PROJECT / "skills" / "sftguide" / "SKILL.md"
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")), SKILL]
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)

PARSED = {
    "sftguide sweep": "trains for minutes: tests/under_axolotl/test_sweep.py",
    "sftguide check first.yml --data": "tests/under_axolotl/test_start_page.py",
    "sftguide runs compare first second": "tests/under_axolotl/test_start_page.py",
    "sftguide quickstart": "trains a minute: tests/under_axolotl/test_quickstart.py",
    "sftguide check mine.yml --data": "needs Axolotl: under_axolotl/test_check_data.py",
    "sftguide next latest --sweep": "needs a config of Axolotl: tests/test_next.py",
    "sftguide mix spec.yml --preview --tokenizer": "tests/test_mixing_preview.py",
    "sftguide runs watch": "waits for a run to end: tests/test_watch.py",
    "sftguide backtest": "replays for seconds: tests/test_backtest.py",
    "sftguide evidence --replay": "needs public tables: tests/test_evidence_replay.py",
}
"""Commands of which only the arguments are parsed, and what runs them."""

NOT_RUN = {
    "axolotl train": "tests/under_axolotl/test_quickstart.py",
    "axolotl merge-lora": "tests/under_axolotl/test_start_page.py",
    "python make_messy.py": "tests/under_axolotl/test_start_page.py",
    "python on_cpu.py": "tests/under_axolotl/test_start_page.py",
    "python ask.py": "tests/under_axolotl/test_start_page.py",
    "python llama.cpp/": "not on PyPI; docs/start.md says what was tested",
    "llama-": "the same",
    "ollama": "the same",
    "python benchmarks/faults": "takes long; `make faults` is the same",
    "cd benchmarks/faults": "the same",
    "#": "the head of a script for SLURM",
    "srun": "SLURM is not installed",
    "export SFTGUIDE_STORAGE=": "a server that is not there",
    "python -c": "loads Axolotl: tests/test_documentation.py runs it",
    "pip install": "tests/test_packaging.py installs the wheel; extras are compared",
    "export PIP_EXTRA_INDEX_URL=": "an address of PyTorch's",
    "optuna-dashboard": "a package of Optuna's, which is not installed",
}

STATUS = {"sftguide plan": (0, 1)}  # 1: it does not fit

TAGS = {"sftguide terminated"}
"""What looks like a command and is a tag of Aim."""

PRINTED: dict[str, str] = {}
"""What commands have printed; several pages have the same ones."""


def lines_of(page: Path) -> list[str]:
    """The command lines of a page, without comments."""
    blocks = SHELL.findall(page.read_text())
    whole = [re.sub(r"\\\n\s*", "", block) for block in blocks]
    lines = [re.sub(r"\s+#.*", "", line) for b in whole for line in b.splitlines()]
    return [line for line in lines if line.strip()]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages suppose to be there: configs, data and three studies of runs."""
    folder = tmp_path_factory.mktemp("material")
    shutil.copy(PROJECT / "docs" / "images" / "mine.yml", folder)
    rows = (PROJECT / "recipes/quickstart/skills.jsonl").read_text().splitlines()[:40]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n")
    for name in ("chats.jsonl", "my-chats.jsonl"):
        shutil.copy(folder / "rows.jsonl", folder / name)
    code = pa.Table.from_pylist([json.loads(row) for row in rows])
    pq.write_table(code, folder / "code.parquet")
    source = {"name": "all", "datasets": [{"path": "rows.jsonl"}]}
    (folder / "spec.yml").write_text(yaml.safe_dump({"phases": [source]}))
    shutil.copy(PROJECT / "recipes/quickstart-cpu.yml", folder / "recipe.yml")
    (folder / "space.yml").write_text("learning_rate: [1.0e-4, 1.0e-3]\n")
    (folder / "recipes").symlink_to(PROJECT / "recipes")
    (folder / "outputs").mkdir()
    (folder / "FOLDER").mkdir()
    storage = str(folder / "runs.db")
    make_study(storage, folder / "mine", 9, 60, study="my-study")
    history = make_study(storage, folder / "space", 8, 40, study="space", judged=False)
    for run in history.runs(study="my-study"):
        number = run.id.rpartition("-")[2]
        history.rename(run, f"trial-{number}")
        history.tag(run, ["paper"])
    history.close()
    return folder


@pytest.fixture
def workplace(material: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the material, which is the working folder."""
    monkeypatch.chdir(material)
    monkeypatch.setenv("SFTGUIDE_STORAGE", str(material / "runs.db"))
    return material


def reason(line: str, known: dict[str, str]) -> str | None:
    return next((why for start, why in known.items() if line.startswith(start)), None)


def filled_in(line: str) -> str:
    """The line with the names of this workplace for those that stand for one."""
    mixes = [path.name for path in Path("outputs/mixes").glob("stacked-*")]
    if mixes:
        line = line.replace("stacked-0123456789ab", mixes[0])
    if line.startswith("sftguide new"):  # pages write the same file
        line += " --force"
    return line.replace("MODEL", "recipes/quickstart/base")


def parse(words: list[str]) -> None:
    """Parse the arguments of a command, and run nothing."""
    name, command = "sftguide", main
    context = click.Context(main, info_name=name)
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words[0]]  # type: ignore[assignment]
        words = words[1:]
    command.make_context(name, list(words), parent=context)


def run(line: str) -> str:
    """Run one command line, and return what `sftguide` prints on stdout."""
    if reason(line, NOT_RUN) is not None:
        return ""
    if line not in PRINTED:
        PRINTED[line] = run_anew(line)
    return PRINTED[line]


def run_anew(line: str) -> str:
    words = shlex.split(filled_in(line))
    if words[0] == "cd":
        assert Path(words[1]).is_dir()
    elif words[0] == "make":
        makefile = (PROJECT / "Makefile").read_text()
        assert f"\n{words[1]}:" in makefile
    elif reason(line, PARSED) is not None:
        parse(words[1:])
    else:
        assert words[0] == "sftguide", f"say in NOT_RUN why {words[0]} is not run"
        done = CliRunner().invoke(main, words[1:])
        allowed = STATUS.get(" ".join(words[:2]), (0,))
        assert done.exit_code in allowed, f"{line}\n{done.output}"
        return done.stdout
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_run_one_after_the_other(
    page: Path, workplace: Path
) -> None:
    for line in lines_of(page):
        run(line)


def test_every_reason_for_not_running_a_command_is_in_use() -> None:
    lines = [line for page in PAGES for line in lines_of(page)]
    for start in (*PARSED, *NOT_RUN):
        assert any(line.startswith(start) for line in lines), start


def test_extras_that_are_installed_on_the_pages_exist() -> None:
    project = (PROJECT / "pyproject.toml").read_text()
    for page in PAGES:
        for extras in re.findall(r"axolotl-sftguide\[([\w,]+)\]", page.read_text()):
            for extra in extras.split(","):
                assert re.search(rf"^{extra} = \[", project, re.MULTILINE), page.name


def named_in_text(page: Path) -> Iterator[list[str]]:
    """The `sftguide` commands inside of sentences and tables."""
    for code in re.findall(r"(?<!`)`(sftguide [a-z][^`]*)`(?!`)", page.read_text()):
        if code not in TAGS:
            yield code.split()[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_sentences_exist_with_their_options(page: Path) -> None:
    for words in named_in_text(page):
        command: Any = main
        while isinstance(command, click.Group) and words[:1]:
            if words[0] not in command.commands:
                break
            command, words = command.commands[words[0]], words[1:]
        assert command is not main, words
        options = {name for p in command.params for name in p.opts}
        options |= {"--help"}
        for word in words:
            if word.startswith("--") and word != "--":
                assert word.split("=")[0].rstrip(",.;") in options, (page.name, word)


def keys_of(text: str) -> list[str]:
    """The keys in the first column of the skill's tables."""
    rows = re.findall(r"^\| (`.*?) \| ", text, re.MULTILINE)
    return [key for row in rows for key in re.findall(r"`([^`]+)`", row)]


def answers(value: Any, path: str) -> bool:
    """Whether a JSON document has a key; a list has it if one of its items has."""
    if not path:
        return True
    first, _, rest = path.partition(".")
    name = first.removesuffix("[]")
    if name:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    if not first.endswith("[]"):
        return answers(value, rest)
    assert isinstance(value, list)
    return any(answers(item, rest) for item in value) or not rest


def test_every_key_that_the_skill_names_is_in_the_answer(workplace: Path) -> None:
    sections = re.split(r"^## ", SKILL.read_text(), flags=re.MULTILINE)
    looked_up = 0
    for section in sections:
        tables = re.split(r"\n\n(?=\| )", section)
        printed = [
            run(line)
            for block in SHELL.findall(section)
            for line in block.splitlines()
            if line.endswith("--json")
        ]
        documents = [json.loads(text) for text in printed if text]
        for table in tables[1:]:
            if not re.match(r"\| key", table):
                continue
            for key in keys_of(table.split("\n\n")[0]):
                assert any(answers(document, key) for document in documents), key
                looked_up += 1
    assert looked_up > 40


def test_the_skill_has_the_form_of_agent_skills() -> None:
    _, front, body = SKILL.read_text().split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["name"] == SKILL.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fields["name"])
    assert len(fields["name"]) <= 64
    assert 0 < len(fields["description"]) <= 1024
    assert len(fields["compatibility"]) <= 500
    assert set(fields) <= {
        "name",
        "description",
        "license",
        "compatibility",
        "metadata",
        "allowed-tools",
    }
    assert len(body.splitlines()) < 500
