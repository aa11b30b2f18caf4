"""The public training logs of the curves benchmark are fetched from their commits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scripts import load_script

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "curve_logs.py"
PATH = "runs/größe (1)/trainer_state.json"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script(SCRIPT)


def committed(folder: Path, history: list[dict[str, Any]]) -> str:
    """A repository with a trainer state, of which a later commit removes it."""

    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        command = ["git", "-C", str(folder), *who, *words]
        return subprocess.check_output(command, text=True).strip()

    path = folder / PATH
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"log_history": history}), encoding="utf-8")
    git("init", "--quiet")
    git("config", "uploadpack.allowFilter", "true")
    git("config", "uploadpack.allowAnySHA1InWant", "true")
    git("add", "-A")
    git("commit", "--quiet", "-m", "one")
    commit = git("rev-parse", "HEAD")
    git("rm", "--quiet", PATH)
    git("commit", "--quiet", "-m", "two")
    return commit


def test_each_log_is_named_by_a_whole_commit_and_has_a_label(
    script: ModuleType,
) -> None:
    entries = script.entries()
    assert len(entries) == len({entry["id"] for entry in entries}) == 56
    for entry in entries:
        assert re.fullmatch(r"[0-9a-f]{40}", entry["commit"])
        assert entry["label"].split(":")[0] in ("healthy", "unclear", "failed")


def test_logs_are_read_from_their_commit_and_the_others_are_named(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    history = [
        {"step": 5, "loss": 1.2345678, "grad_norm": "NaN", "learning_rate": 1e-4},
        {"step": 5, "eval_loss": 1.0},
        {"step": 10, "loss": 1.0},
    ]
    commit = committed(tmp_path / "own" / "er.git", history)
    row = {"repository": "own/er", "path": PATH, "label": "healthy"}
    entries = [
        {"id": "A", "commit": commit, **row},
        {"id": "B", "commit": "0" * 40, **row},
    ]
    monkeypatch.setattr(script, "entries", lambda: entries)
    target = tmp_path / "logs.json"
    origin = f"file://{tmp_path}/{{}}.git"
    monkeypatch.setattr(sys, "argv", ["x", str(target), "--from", origin])
    assert script.main() == 1
    (log,) = json.loads(target.read_text())
    step, loss, norm, rate = log["points"][0]
    assert (log["id"], log["label"]) == ("A", "healthy")
    assert (step, loss, rate) == (5, 1.2346, 1e-4)
    assert norm != norm
    assert log["points"][1] == [10, 1.0, None, None]
    assert "own/er@00000000: left out" in capsys.readouterr().err
