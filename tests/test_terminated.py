"""The marker of a stopped run, and its last good checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from axolotl_sftguide.runs import marker as terminated
from axolotl_sftguide.runs.marker import Termination

STOPPED = Termination("r1", "divergence", "loss 9", 40, 320, bad_since=17)


def test_the_marker_is_read_back(tmp_path: Path) -> None:
    path = terminated.mark(tmp_path / "new" / "out", STOPPED)
    assert path.name == terminated.MARKER
    assert terminated.read_marker(path.parent) == STOPPED


def test_no_marker_a_broken_one_or_no_folder_is_none(tmp_path: Path) -> None:
    assert terminated.read_marker(tmp_path) is None
    assert terminated.read_marker(tmp_path / "none") is None
    for text in ("", "[1]", "{}", '{"run_id": 1', "null"):
        (tmp_path / terminated.MARKER).write_text(text)
        assert terminated.read_marker(tmp_path) is None


def test_a_marker_of_a_later_version_still_marks(tmp_path: Path) -> None:
    path = terminated.mark(tmp_path, STOPPED)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"new": 1}))
    assert terminated.read_marker(tmp_path) == STOPPED


def test_clearing_a_missing_marker_is_no_error(tmp_path: Path) -> None:
    terminated.mark(tmp_path, STOPPED)
    for _ in range(2):
        terminated.clear(tmp_path)
        assert terminated.read_marker(tmp_path) is None
    (tmp_path / "file").write_text("")
    terminated.clear(tmp_path / "file")


@pytest.mark.parametrize(
    ("rule", "lost"),
    [
        ("non_finite", True),
        ("divergence", True),
        ("not_learning", False),
        ("comparison", False),
    ],
)
def test_which_rules_mean_that_the_weights_are_lost(rule: str, lost: bool) -> None:
    assert Termination("r", rule, "", 1, 8, 1).weights_are_lost is lost


def test_the_last_good_checkpoint_is_the_newest_before_the_first_bad_step(
    tmp_path: Path,
) -> None:
    for name in ("checkpoint-8", "checkpoint-16", "checkpoint-100", "checkpoint-x"):
        (tmp_path / name).mkdir()
    found = terminated.last_good_checkpoint(tmp_path, bad_since=17)
    assert found == str(tmp_path / "checkpoint-16")
    assert terminated.last_good_checkpoint(tmp_path, bad_since=8) is None
    assert terminated.latest_checkpoint(tmp_path) == str(tmp_path / "checkpoint-100")


def test_a_checkpoints_step_is_read_from_its_name() -> None:
    assert terminated.checkpoint_step("/a/checkpoint-12/") == 12
    assert terminated.checkpoint_step("/a/checkpoint-12/model") is None


def test_it_names_the_rule_the_step_and_the_last_good_checkpoint() -> None:
    text = str(STOPPED)
    for part in ("r1", "step 40", "divergence", "loss 9", "checkpoint: none"):
        assert part in text
