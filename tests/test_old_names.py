"""Names and files of version 0.1.0 work with this version."""

from __future__ import annotations

import importlib
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

ASSETS = Path(__file__).parent / "assets" / "version-0.1.0"


@pytest.fixture
def old_history(tmp_path: Path) -> str:
    """A copy of the history, since reading one may write beside it."""
    return f"sqlite:///{shutil.copy(ASSETS / 'runs.db', tmp_path / 'runs.db')}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("callbacks", "hosts"),
        ("run_history", "runs.history"),
        ("settings", "config.settings"),
        ("terminated", "runs.marker"),
        ("traces", "runs.traces"),
    ],
)
def test_an_old_module_warns_and_names_the_new_one(old: str, new: str) -> None:
    sys.modules.pop(f"axolotl_sftguide.{old}", None)
    with pytest.warns(
        DeprecationWarning, match=f"import from `axolotl_sftguide.{new}`"
    ):
        importlib.import_module(f"axolotl_sftguide.{old}")
    importlib.import_module(f"axolotl_sftguide.{new}")


def test_the_old_modules_hold_the_same_objects() -> None:
    from axolotl_sftguide import callbacks, run_history, settings, terminated, traces
    from axolotl_sftguide.config import settings as new_settings
    from axolotl_sftguide.hosts import held_out_score, trainer
    from axolotl_sftguide.runs import history, marker
    from axolotl_sftguide.runs import traces as new_traces

    assert callbacks.GradientMonitorCallback is trainer.GradientMonitorCallback
    assert callbacks.EarlyTerminationCallback is trainer.EarlyTerminationCallback
    assert callbacks.HeldOutScoreCallback is held_out_score.HeldOutScoreCallback
    assert settings.Settings is new_settings.Settings
    assert settings.load_settings is new_settings.load_settings
    assert traces.read_trace is new_traces.read_trace
    assert traces.find_traces is new_traces.find_traces
    assert run_history.RunHistory is history.RunHistory
    assert terminated.read_marker is marker.read_marker


def test_a_history_of_version_0_1_0_holds_its_runs_once_upgraded(
    old_history: str,
) -> None:
    from axolotl_sftguide.run_history import RunHistory
    from axolotl_sftguide.runs.history import upgrade_storage

    upgrade_storage(old_history)
    history = RunHistory(old_history)
    runs = {run.name: run for run in history.runs(study="before")}
    history.close()
    assert {n: (r.status, r.step) for n, r in runs.items()} == {
        "finished": ("finished", 40),
        "warned": ("finished", 12),
        "stopped": ("terminated", 6),
    }
    (score,) = runs["finished"].scores
    assert (score.metric, score.value, score.base_value) == (
        "heldout_exact_match",
        0.5,
        0.25,
    )
    (decision,) = runs["stopped"].decisions
    assert (decision.rule, decision.action, decision.step) == ("non_finite", "stop", 6)


def test_a_trace_of_version_0_1_0_is_read_and_imported(tmp_path: Path) -> None:
    from axolotl_sftguide.run_history import RunHistory
    from axolotl_sftguide.traces import read_trace

    trace = read_trace(ASSETS / "finished.jsonl")
    assert [o.step for o in trace.observations] == list(range(1, 41))
    assert trace.end is not None
    assert trace.end["status"] == "finished"
    history = RunHistory(str(tmp_path / "new.db"))
    run = history.import_trace(trace)
    assert (run.name, run.step, run.samples_seen) == ("finished", 40, 160)
    assert [s.metric for s in run.scores] == ["heldout_exact_match"]
    history.close()


def test_the_rules_find_in_an_old_trace_what_was_recorded() -> None:
    from axolotl_sftguide.config.settings import early_termination_settings
    from axolotl_sftguide.stopping.rules import NonFinite, fold
    from axolotl_sftguide.traces import read_trace

    trace = read_trace(ASSETS / "stopped.jsonl")
    recorded = next(e for e in trace.events if e["event"] == "decision")
    steps = early_termination_settings().non_finite.steps
    verdict = fold(NonFinite(steps), trace.observations)
    assert verdict is not None
    assert (verdict.rule, verdict.step) == (recorded["rule"], recorded["step"])


def test_a_marker_of_version_0_1_0_is_read() -> None:
    from axolotl_sftguide.terminated import read_marker

    marker = read_marker(ASSETS)
    assert marker is not None
    assert {"rule": "non_finite", "step": 6}.items() <= asdict(marker).items()
