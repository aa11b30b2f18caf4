"""The GPU suite works, as far as a CPU can tell, and says what it cannot measure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SUITE = Path(__file__).parent.parent / "benchmarks" / "gpu_qlora.py"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SUITE), *words],
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_a_small_model_goes_through_it_on_the_cpu_and_no_memory_is_claimed(
    tmp_path: Path,
) -> None:
    pytest.importorskip("bitsandbytes")
    done = run("--smoke", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr[-2000:]
    assert "peak not measured" in done.stdout
    said = json.loads((tmp_path / "gpu_qlora.json").read_text())
    (row,) = said["rows"]
    assert said["where"] == "cpu, no memory measured"
    assert 0 < row["loss_value"] < 20
    assert "peak_allocated_gb" not in row


@pytest.mark.skipif(torch.cuda.is_available(), reason="it would be measured")
def test_without_a_gpu_nothing_is_measured_and_a_message_says_so() -> None:
    done = run()
    assert done.returncode == 1
    assert "no CUDA device here: nothing measured" in done.stderr
