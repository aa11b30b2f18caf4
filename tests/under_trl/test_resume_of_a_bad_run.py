"""A resume replays the recorded steps: what should have stopped the run stops it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from transformers import TrainerCallback

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.runs.marker import read_marker

WARN = {"non_finite": {"action": "warn"}}
SAVING = {"save_strategy": "steps", "save_steps": 10, "max_steps": 40}


class LoseWeights(TrainerCallback):
    """Sets all weights to NaN after step 5."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        if state.global_step == 5:
            for parameter in kw["model"].parameters():
                parameter.data.fill_(float("nan"))


@pytest.fixture
def resumed(train_trl: Callable[..., Any]) -> Callable[..., Any]:
    """Trains 20 steps with warnings only, and resumes with other settings."""

    def run(**rules: Any) -> Any:
        first = train_trl(
            LoseWeights(),
            GradientMonitorCallback(),
            EarlyTerminationCallback(**WARN),
            **SAVING | {"max_steps": 20},
        )
        assert [d.action for d in first.run.decisions] == ["warn"]
        checkpoint = str(first.output_dir / "checkpoint-20")
        return train_trl(
            GradientMonitorCallback(),
            EarlyTerminationCallback(**rules),
            train_kwargs={"resume_from_checkpoint": checkpoint},
            **SAVING,
        )

    return run


def test_a_finding_that_still_holds_stops_the_run_at_its_first_log(
    resumed: Callable[..., Any],
) -> None:
    outcome = resumed()
    assert outcome.trainer.state.global_step == 21
    assert outcome.run.status == "terminated"
    assert outcome.run.reason.startswith("non_finite")
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert (marker.rule, marker.bad_since) == ("non_finite", 6)


def test_a_rule_that_only_warns_does_not_warn_again(
    resumed: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = resumed(**WARN)
    assert outcome.run.status == "finished"
    assert outcome.run.step == 40
    assert [d.action for d in outcome.run.decisions] == ["warn"]
    assert capsys.readouterr().out.count("early_termination.non_finite.action") == 1
