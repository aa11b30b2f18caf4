"""The same mix from other versions of Python, each with libraries of its own."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from axolotl_sftguide.mixing import mix

PROJECT = Path(__file__).parent.parent
OTHERS = ["python3.10", "python3.11", "python3.12", "python3.13"]

SCRIPT = """
import json, sys
from axolotl_sftguide.mixing import mix
made = mix(json.load(open(sys.argv[1])), sys.argv[2], base=sys.argv[3], workers=2)
written = made.manifest.written.values()
print(json.dumps([made.folder.name, *(own.rows_sha256 for own in written)]))
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text of every kind that a version might see in another way."""
    folder = tmp_path_factory.mktemp("material")
    draw = random.Random(0)
    odd = [
        "é",
        "e\u0301",
        "\u00a0",
        "\u2028",
        "\U0001d518",
        "ß",
        "\t",
        "\x85",
        "İ",
        "\u200b",
        "1.0",
    ]
    for name in ("a", "b"):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for i in range(500):
                words = " ".join(draw.choices(odd, k=draw.randint(1, 12)))
                call = {"name": "f", "arguments": {"x": draw.random(), "y": 10**20}}
                turns = [
                    {"role": "user", "content": f"{i // 2} {words if i % 2 else 'x'}"},
                    {"role": "assistant", "content": words, "tool_calls": [call]},
                    {"role": "tool", "content": words},
                    {"role": "assistant", "content": f"{words} {i % 7}"},
                ]
                file.write(
                    json.dumps({"messages": turns}, ensure_ascii=i % 3 > 0) + "\n"
                )
    spec = {
        "phases": [
            {"name": "p", "datasets": [{"path": "a.jsonl", "share": 0.3}]},
            {"name": "q", "datasets": [{"path": "b.jsonl", "share": 0.7}]},
        ],
        "upsample": True,
        "held_out": 0.05,
        "on_error": "skip",
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_another_python_gives_the_same_rows(
    name: str, material: Path, tmp_path: Path
) -> None:
    python = shutil.which(name)
    # pyenv puts names on the path whose versions are not in use, and which then fail.
    if (
        python is None
        or subprocess.run([python, "-c", ""], capture_output=True).returncode
    ):
        pytest.skip(f"{name} cannot be started here")
    own = mix(
        json.loads((material / "spec.json").read_text()),
        tmp_path / "own",
        base=material,
        workers=1,
    )
    # The bytes of a Parquet file depend on the version of pyarrow, its rows do not.
    checksums = [written.rows_sha256 for written in own.manifest.written.values()]
    assert all(checksums)
    expected = [own.folder.name, *checksums]
    venv = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", venv], check=True, timeout=300)
    there = str(venv / "bin" / "python")
    pip = [there, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True, timeout=300)
    subprocess.run([*pip, f"{PROJECT}[mix]"], check=True, timeout=600)
    words = [str(material / "spec.json"), str(tmp_path / "other"), str(material)]
    done = subprocess.run(
        [there, "-c", SCRIPT, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == expected
