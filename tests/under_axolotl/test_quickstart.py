"""`sftguide quickstart` with a small training in the recipe's place."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.traces import find_traces


@pytest.fixture
def begin(
    axolotl_config: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command in a folder whose recipe is a small one."""

    def start(**overrides: Any) -> subprocess.Popen[str]:
        config = tmp_path / "recipes" / "quickstart-cpu.yml"
        config.parent.mkdir()
        config.write_text(yaml.safe_dump(axolotl_config(**overrides)))
        return subprocess.Popen(
            [sys.executable, "-m", "axolotl_sftguide", "quickstart"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.mark.slow
def test_a_pipe_gets_plain_lines_and_a_short_summary(
    begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = begin(max_steps=24)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert all(line.isprintable() for line in said.splitlines())
    lines = said.splitlines()
    steps = [line for line in lines if line.startswith("step ")]
    assert len(steps) == 12
    assert steps[-1].split()[:4] == ["step", "24", "of", "24"]
    end = next(i for i, line in enumerate(lines) if line.startswith("finished after"))
    assert len(lines) - end <= 25
    log = tmp_path / "out" / "axolotl.log"
    assert str(log) in said
    assert "train_runtime" in log.read_text()
    assert "train_runtime" not in said
    (run,) = RunHistory().runs()
    assert run.status == "finished"
    for name in ("loss", "gradient norm", "trace", "history", "Try next"):
        assert any(line.startswith(name) for line in lines[end:]), name


@pytest.mark.slow
def test_a_failure_shows_the_error_and_the_path_of_the_log(
    begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = begin(micro_batch_size="many")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "micro_batch_size" in errors
    assert f"From the log {tmp_path / 'out' / 'axolotl.log'}:" in errors


@pytest.mark.slow
def test_ctrl_c_ends_the_training(
    begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = begin(max_steps=200_000)
    deadline = time.monotonic() + 300
    while not find_traces(tmp_path / "out"):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors.strip() == "interrupted: the training was ended"
    assert not psutil.wait_procs(children, timeout=120)[1]
