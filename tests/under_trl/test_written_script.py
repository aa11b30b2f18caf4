"""The script that `sftguide new --trainer trl` writes runs as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from authored_cases import write_form
from click.testing import CliRunner

from axolotl_sftguide.authoring import MARKS, jinja_of
from axolotl_sftguide.cli import main
from axolotl_sftguide.runs.history import RunHistory

PROJECT = Path(__file__).parents[2]
BASE = PROJECT / "recipes" / "quickstart" / "base"

TALK = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "What is two and two?"},
    {"role": "assistant", "content": "Four."},
    {"role": "user", "content": "And three?"},
    {"role": "assistant", "content": "Seven."},
]


def rendered(template: str, messages: list[dict[str, str]]) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    texts, _ = render_jinja_template(
        [messages], chat_template=template, bos_token="<s>", eos_token="</s>"
    )
    return str(texts[0])


@pytest.mark.parametrize("name", sorted(MARKS))
def test_a_template_renders_as_axolotls_of_the_same_name(name: str) -> None:
    host = find_spec("axolotl")
    if host is None or host.origin is None:
        pytest.skip("Axolotl is not installed here")
    folder = Path(host.origin).parent / "utils" / "chat_templates" / "templates"
    theirs = (folder / f"{name}.jinja").read_text()
    ours = jinja_of(name, with_bos=name != "chatml")
    assert ours is not None
    drops_system = ("gemma", "mistral_v2v3", "mistral_v3_tekken")  # or refuses it
    talk = TALK[1:] if name in drops_system else TALK
    assert rendered(ours, talk).rstrip() == rendered(theirs, talk).rstrip()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "adapter", "template"),
    [("sharegpt", "lora", ""), ("messages", "none", "chatml"), ("tools", "none", "")],
)
def test_the_script_trains_and_is_watched(
    form: str,
    adapter: str,
    template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_form(tmp_path / "chats.jsonl", form, 300, words=4)
    words = f"new --model {BASE} --data chats.jsonl --gpu-memory 8GiB --trainer trl"
    words += f" --adapter {adapter} --epochs 0.4 --effective-batch-size 16"
    words += f" --chat-template {template}" if template else ""
    written = CliRunner().invoke(main, words.split())
    assert written.exit_code == 0, written.output
    done = subprocess.run(
        [sys.executable, "my-run.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(PROJECT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = RunHistory().runs()
    assert (run.status, run.study) == ("finished", "my-run")
    assert 2 <= (run.step or 0) <= 24
    files = {path.name for path in Path("outputs/my-run").iterdir()}
    assert files & {"adapter_model.safetensors", "model.safetensors"}
