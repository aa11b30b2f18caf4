"""A run that a rule stops ends at once, says why, and leaves a marker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.runs.history import RunHistory, Score
from axolotl_sftguide.runs.marker import MARKER, read_marker

NOT_FINITE = {"learning_rate": 1e30, "max_grad_norm": 0.0, "max_steps": 40}
QUICK_DIVERGENCE = {"window": 8, "patience": 4, "margin": 0.05, "sigmas": 3.0}
ONE_BY_FOUR = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 1}
"""Half the work of the two by two rows that a step has otherwise."""
QUICK_NOT_LEARNING = {"grace": 16, "patience": 2}


def test_steps_that_stay_non_finite_stop_the_run_by_default(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_trl(
        GradientMonitorCallback(), EarlyTerminationCallback(), **NOT_FINITE
    )
    run = outcome.run
    assert run.status == "terminated"
    assert run.step < 40
    assert run.steps_saved == 40 - run.step
    (decision,) = [d for d in run.decisions if d.action == "stop"]
    assert decision.rule == "non_finite"
    said = capsys.readouterr().out
    assert f"stopped at step {run.step} of 40" in said
    assert "Last good checkpoint: none" in said
    assert MARKER in said


def test_a_non_finite_step_is_not_recorded_as_a_loss_of_zero(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(GradientMonitorCallback(), **NOT_FINITE)
    last = outcome.trace.observations[-1]
    assert not last.finite
    assert last.loss != 0.0
    assert outcome.logs[-1]["sftguide/nonfinite_steps"] == 1
    assert outcome.run.status == "finished"  # nobody was asked to stop it


@pytest.mark.parametrize("logging_steps", [1, 5])
def test_a_stop_makes_no_checkpoint_and_no_evaluation(
    train_trl: Callable[..., Any], logging_steps: int
) -> None:
    outcome = train_trl(
        GradientMonitorCallback(),
        EarlyTerminationCallback(non_finite={"steps": 3}),
        witness=True,
        logging_steps=logging_steps,
        save_strategy="steps",
        save_steps=logging_steps,
        **NOT_FINITE,
    )
    stopped_at = outcome.run.step
    last = outcome.output_dir / f"checkpoint-{stopped_at}"
    assert stopped_at < 40
    assert not last.exists()
    assert outcome.witness.events.count("save") == stopped_at // logging_steps - 1


def test_the_last_good_checkpoint_is_from_before_the_run_went_bad(
    train_trl: Callable[..., Any],
) -> None:
    from transformers import TrainerCallback

    class Blow(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
            if state.global_step == 6:
                for parameter in kw["model"].parameters():
                    parameter.data.fill_(float("nan"))

    outcome = train_trl(
        Blow(),
        GradientMonitorCallback(),
        EarlyTerminationCallback(),
        save_strategy="steps",
        save_steps=3,
        max_steps=40,
    )
    marker = read_marker(outcome.output_dir)
    assert marker is not None
    assert marker.bad_since == 7
    assert marker.last_good_checkpoint == str(outcome.output_dir / "checkpoint-6")
    assert marker.weights_are_lost


def test_a_loss_that_leaves_its_level_for_good_is_divergence(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(
        GradientMonitorCallback(),
        EarlyTerminationCallback(action="stop", divergence=QUICK_DIVERGENCE),
        learning_rate=3.0,
        max_steps=60,
    )
    assert outcome.run.status == "terminated"
    assert outcome.run.reason.startswith("divergence: median loss")
    assert outcome.run.step < 60


def test_a_learning_rate_of_zero_is_not_learning(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(
        GradientMonitorCallback(),
        EarlyTerminationCallback(action="stop", not_learning=QUICK_NOT_LEARNING),
        learning_rate=0.0,
        max_steps=60,
    )
    assert outcome.run.status == "terminated"
    assert outcome.run.reason.startswith("not_learning: learning rate zero")


def test_warnings_do_not_stop_and_are_recorded(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_trl(
        GradientMonitorCallback(),
        EarlyTerminationCallback(not_learning=QUICK_NOT_LEARNING),
        learning_rate=0.0,
        max_steps=40,
    )
    assert outcome.run.status == "finished"
    assert outcome.run.step == 40
    assert [d.action for d in outcome.run.decisions] == ["warn"]
    assert "early_termination.not_learning.action: stop" in capsys.readouterr().out
    assert read_marker(outcome.output_dir) is None


def test_earlier_runs_predict_that_a_run_cannot_win_and_it_is_stopped(
    train_trl: Callable[..., Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def train(name: str, learning_rate: float) -> Any:
        return train_trl(
            GradientMonitorCallback(study="s"),
            EarlyTerminationCallback(action="off", prediction={"action": "stop"}),
            output_dir=str(tmp_path / name),
            learning_rate=learning_rate,
            max_steps=96,
            **ONE_BY_FOUR,
        )

    for rate in (1e-3, 1.5e-3, 2e-3, 3e-3, 4e-3, 5e-3):
        outcome = train(str(rate), rate)
        assert outcome.run.status == "finished"
        last = fmean(o.loss for o in outcome.trace.observations[-12:])
        RunHistory().add_score(outcome.run.id, Score("accuracy", -last, "max"))
    hopeless = train("hopeless", 1e-5).run
    assert hopeless.status == "terminated"
    assert hopeless.step < 48
    (decision,) = hopeless.decisions
    assert (decision.rule, decision.action) == ("prediction", "stop")
    assert decision.figures["runs"] == 6
    assert "predicted accuracy" in capsys.readouterr().out
    assert train("another", 4.5e-3).run.status == "finished"


def test_higher_norms_and_lower_losses_than_the_reference_are_a_warning(
    train_trl: Callable[..., Any], tmp_path: Path
) -> None:
    """One reference is no evidence that the signals agree with the scores."""
    rule = {"grace": 8, "window": 8, "patience": 4, "sigmas": 0.3, "margin": 0.01}

    def train(name: str, **overrides: Any) -> Any:
        return train_trl(
            GradientMonitorCallback(study="s"),
            EarlyTerminationCallback(
                action="off", comparison=rule | {"action": "stop"}
            ),
            output_dir=str(tmp_path / name),
            max_steps=100,
            **ONE_BY_FOUR,
            **overrides,
        )

    reference = train("reference", learning_rate=1e-4)
    RunHistory().add_score(reference.run.id, Score("accuracy", 0.9, "max"))
    twin = train("twin", learning_rate=1e-4, seed=7, data_seed=7)
    other = train("other", learning_rate=1e-2)
    assert reference.run.key == twin.run.key == other.run.key
    assert twin.run.status == "finished"
    assert other.run.status == "finished"
    (decision,) = other.run.decisions
    assert decision.action == "warn"
    assert decision.reference == reference.run.id
    figures = decision.figures
    assert figures["grad_norm"] > figures["reference_grad_norm"]
    assert figures["loss"] < figures["reference_loss"]


def test_a_new_run_in_the_same_folder_takes_the_marker_away(
    train_trl: Callable[..., Any],
) -> None:
    stopped = train_trl(
        GradientMonitorCallback(), EarlyTerminationCallback(), **NOT_FINITE
    )
    assert read_marker(stopped.output_dir) is not None
    train_trl(GradientMonitorCallback(), EarlyTerminationCallback())
    assert read_marker(stopped.output_dir) is None


def test_a_stopped_run_is_not_pushed_by_default(
    train_trl: Callable[..., Any],
) -> None:
    callback = EarlyTerminationCallback()
    outcome = train_trl(GradientMonitorCallback(), callback, **NOT_FINITE)
    assert callback.stopped
    assert outcome.trainer.args.push_to_hub is False


def test_the_rules_alone_bring_their_own_monitor(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(EarlyTerminationCallback(), **NOT_FINITE)
    assert outcome.run.status == "terminated"


def test_the_order_of_the_callbacks_does_not_matter(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(
        EarlyTerminationCallback(), GradientMonitorCallback(study="s"), **NOT_FINITE
    )
    assert outcome.run.status == "terminated"
    assert outcome.run.study == "s"
