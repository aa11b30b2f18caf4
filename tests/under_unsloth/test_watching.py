"""Unsloth's SFTTrainer as a host; on the CPU, its models are those of transformers.

`make matrix ONLY=unsloth-newest` installs it and runs this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("unsloth") is None, reason="Unsloth is not installed"
)
SCRIPT = Path(__file__).parent.parent / "support" / "unsloth_runs.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What four trainings left behind."""
    folder = tmp_path_factory.mktemp("unsloth")
    done = subprocess.run(
        [sys.executable, SCRIPT, folder],
        cwd=folder,
        env={**os.environ, "SFTGUIDE_STORAGE": str(folder / "runs.db")},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "sftguide: watching run" in done.stdout
    return dict(json.loads((folder / "found.json").read_text()))


def test_a_watched_run_has_the_bits_of_an_unwatched_one(found: dict[str, Any]) -> None:
    first, again, watched = found["logs"]
    assert first == again == watched
    assert len(first) == 8
    assert found["bits"] == [True, True]


def test_each_step_is_recorded_as_it_is_logged(found: dict[str, Any]) -> None:
    for seen, logged in zip(found["seen"], found["logs"][2], strict=True):
        assert seen == pytest.approx(logged, rel=1e-6)
    assert found["left"] == []


def test_steps_that_stay_nan_stop_the_run(found: dict[str, Any]) -> None:
    assert found["runs"]["watched"] == ["finished", 8]
    assert found["runs"]["spoilt"] == ["terminated", 7]
    assert found["marker"] == ["non_finite", 7]


def test_each_source_has_a_loss(found: dict[str, Any]) -> None:
    assert set(found["sources"]) == {"sftguide/loss/a", "sftguide/loss/b"}
    low, high = sorted(found["sources"].values())
    assert low <= found["first_loss"] <= high
