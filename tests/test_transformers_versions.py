"""States that real transformers of several versions have written.

`make test-import` installs each version in an environment of its own, and runs this.
"""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from axolotl_sftguide.cli import main
from axolotl_sftguide.errors import TraceError
from axolotl_sftguide.runs.history import RunHistory
from axolotl_sftguide.runs.trainer_states import find_trainer_states, read_trainer_state

PROJECT = Path(__file__).parent.parent
SCRIPT = Path(__file__).parent / "support" / "train_plainly.py"

pytestmark = pytest.mark.versions


@pytest.fixture(scope="module", params=["4.30.2", "4.38.2", "4.57.1", "5.23.0"])
def version(request: pytest.FixtureRequest) -> str:
    """The first that is read, the first with norms, the last of 4, and a later 5."""
    return str(request.param)


@pytest.fixture(scope="module")
def states(version: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    python = PROJECT / f".venv-transformers-{version}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: `make test-import` makes it")
    folder = tmp_path_factory.mktemp(f"transformers-{version}")
    done = subprocess.run(
        [str(python), str(SCRIPT), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


def test_each_run_is_entered_with_its_logs_its_end_and_its_evaluation(
    states: Path, version: str
) -> None:
    done = CliRunner().invoke(main, ["runs", "import", str(states)])
    assert done.exit_code == 0, done.output
    runs = {run.name: run for run in RunHistory().runs()}
    assert set(runs) == {"whole", "not-finite", "cut-off"}
    whole, cut_off = runs["whole"], runs["cut-off"]
    assert (whole.status, whole.step, whole.max_steps) == ("finished", 12, 12)
    assert (cut_off.status, cut_off.step) == ("failed", 8)
    assert cut_off.reason == "the trainer state ends at step 8"
    assert whole.scores[0].metric == "eval_loss"
    assert 3.0 < whole.scores[0].value < 5.0
    assert not whole.comparable
    before_norms = version.startswith("4.30")
    assert (whole.grad_norm is None or math.isnan(whole.grad_norm)) == before_norms


def test_what_the_state_logged_is_what_is_read(states: Path) -> None:
    for path in find_trainer_states(states):
        logs = json.loads(path.read_text())["log_history"]
        losses = [(log["step"], log["loss"]) for log in logs if "loss" in log]
        read = read_trainer_state(path).observations
        assert len(read) == len(losses) > 3
        for observation, (step, loss) in zip(read, losses, strict=True):
            assert observation.step == step
            assert observation.loss == float(loss) or loss != loss


def test_a_run_that_was_not_finite_is_read_as_it_was_logged(states: Path) -> None:
    (path,) = find_trainer_states(states / "not-finite")
    trace = read_trainer_state(path)
    norms = [o.grad_norm for o in trace.observations]
    losses = [o.loss for o in trace.observations]
    # A host that logs such a loss as 0 leaves the norm that tells of it, if any.
    assert not all(map(math.isfinite, losses)) or 0.0 in losses
    assert len(norms) == len(losses) == 6


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.99])
def test_a_state_that_was_cut_off_is_one_clear_line(
    states: Path, tmp_path: Path, kept: float
) -> None:
    (path,) = find_trainer_states(states / "whole")
    text = path.read_text()
    torn = tmp_path / "trainer_state.json"
    torn.write_text(text[: int(kept * len(text))])
    with pytest.raises(TraceError, match="is not JSON") as caught:
        read_trainer_state(torn)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        {"log_history": None},
        {"log_history": ["a log"]},
        {"log_history": [{"step": 1, "loss": "much"}]},
        {"global_step": None},
        {"max_steps": "many"},
    ],
    ids=lambda damage: json.dumps(damage),
)
def test_a_state_that_was_edited_badly_is_one_clear_line(
    states: Path, tmp_path: Path, damage: dict[str, Any]
) -> None:
    (path,) = find_trainer_states(states / "whole")
    state = {**json.loads(path.read_text()), **damage}
    broken = tmp_path / "trainer_state.json"
    broken.write_text(json.dumps(state))
    done = CliRunner().invoke(main, ["runs", "import", str(broken)])
    assert done.exit_code == 2
    first = done.output.splitlines()[0]
    assert first.startswith(str(broken))
    assert "Traceback" not in done.output
