"""The steps of docs/start.md, from a messy file to a merged model, run as written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "start.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

ELSEWHERE = ("llama", "python llama.cpp/", "ollama")
"""Commands of programs that are not on PyPI; the page says so."""

SCRIPT = """
import json, sys
from pathlib import Path
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer
adapter, merged = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(merged)
models = [
    AutoPeftModelForCausalLM.from_pretrained(adapter),
    AutoModelForCausalLM.from_pretrained(merged),
]
for line in Path("questions.jsonl").read_text().splitlines()[:60]:
    asked, told = json.loads(line)["messages"][:1], []
    batch = tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    for model in models:
        made = model.generate(**batch, max_new_tokens=12, do_sample=False)
        told.append(tokenizer.decode(made[0][batch["input_ids"].shape[1]:]))
    print("ANSWERS", json.dumps(told))
"""


def steps() -> str:
    """The part of the page that the test runs."""
    text = PAGE.read_text()
    begin = text.index("\n## From a messy file to a model\n")
    return text[begin : text.index("\n## What was tested\n")]


def alike(text: str) -> list[str]:
    """The lines of a printed text without what another machine may print otherwise."""
    for what in (
        r"[\u2581-\u2588]+",  # curves
        r"(?<= after ).*",  # a duration
        r"(?<=stacked-)\w{12}",
        r"  lowest .*",
        r"\d[\d,.]*(e-?\d+)?",
    ):
        text = re.sub(what, "#", text)
    lines = [line.replace("##", "#").split() for line in text.splitlines()]
    return [" ".join(w for w in words if w != "#") for words in lines if len(words) > 1]


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment in which the page's programs are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    python = shlex.quote(sys.executable)
    for name, module in (("sftguide", "-m axolotl_sftguide"), ("python", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {python} {module} "$@"\n')
        script.chmod(0o755)
    search = [str(folder), str(Path(sys.executable).parent), os.environ["PATH"]]
    wanted = {"PATH": os.pathsep.join(search), "COLUMNS": "80"}
    return {**os.environ, **wanted, "SFTGUIDE_STORAGE": str(tmp_path / "runs.db")}


@pytest.mark.slow
def test_the_page_leads_from_a_messy_file_to_a_merged_model(
    programs: dict[str, str], tmp_path: Path
) -> None:
    text, printed = steps(), ""
    for _, block in BLOCK.findall(text):
        named = re.match(r"# (\S+\.(?:py|yml))\n", block)
        if named:
            (tmp_path / named[1]).write_text(block)
    for language, block in BLOCK.findall(text):
        if language == "text" and not block.startswith("FROM "):  # a Modelfile
            missing = [line for line in alike(block) if line not in alike(printed)]
            assert not missing, f"{missing} is not in what was printed:\n{printed}"
        if language != "sh":
            continue
        printed = ""
        for line in block.splitlines():
            if line.startswith(ELSEWHERE):
                continue
            done = subprocess.run(
                line,
                shell=True,
                cwd=tmp_path,
                env=programs,
                capture_output=True,
                text=True,
                timeout=1200,
            )
            printed += done.stdout + done.stderr
            wanted = 2 if line == "sftguide mix spec.yml" else 0
            assert done.returncode == wanted, f"{line}\n{printed[-3000:]}"
            if line.startswith("sftguide check"):  # Axolotl's log is not shown
                assert "[axolotl." not in done.stdout + done.stderr
    config = yaml.safe_load((tmp_path / "second.yml").read_text())
    adapter = tmp_path / config["output_dir"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(adapter), str(adapter / "merged")],
        cwd=tmp_path,
        env=programs,
        capture_output=True,
        text=True,
        timeout=600,
    )
    answers = re.findall(r"^ANSWERS (.*)$", done.stdout, re.MULTILINE)
    pairs = [json.loads(pair) for pair in answers]
    assert len(pairs) == 60, done.stderr[-3000:]
    assert all(by_adapter == merged for by_adapter, merged in pairs)
    assert len({told for told, _ in pairs}) > 5
