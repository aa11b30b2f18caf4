"""Every optimizer step is recorded, with nothing but `callbacks=[...]`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from signals_checks import STEPS, check_norms, check_window_losses
from transformers import TrainerCallback

from axolotl_sftguide import GradientMonitorCallback


@pytest.mark.parametrize("logging_steps", [1, 10])
@pytest.mark.parametrize("max_grad_norm", [1.0, 0.001, 0.0])
@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
def test_norms_agree_with_an_independent_float64_norm(
    train_trl: Callable[..., Any],
    adapter: Path,
    lora: bool,
    max_grad_norm: float,
    logging_steps: int,
) -> None:
    outcome = train_trl(
        GradientMonitorCallback(),
        lora=adapter if lora else None,
        witness=True,
        logging_steps=logging_steps,
        max_grad_norm=max_grad_norm,
    )
    check_norms(outcome)


@pytest.mark.parametrize("logging_steps", [1, 5, 10])
def test_the_mean_loss_of_a_window_is_what_the_host_logs(
    train_trl: Callable[..., Any], logging_steps: int
) -> None:
    outcome = train_trl(GradientMonitorCallback(), logging_steps=logging_steps)
    check_window_losses(outcome)


def test_each_log_carries_its_window_and_leaves_the_hosts_norm_alone(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(GradientMonitorCallback(), logging_steps=5)
    norms = {o.step: o.grad_norm for o in outcome.trace.observations}
    first, second = outcome.logs[:2]
    assert first["grad_norm"] == pytest.approx(norms[5])
    assert first["sftguide/grad_norm_last"] == norms[5]
    assert first["sftguide/grad_norm_max"] == max(norms[s] for s in range(1, 6))
    mean = sum(norms[s] for s in range(6, 11)) / 5
    assert second["sftguide/grad_norm_mean"] == pytest.approx(mean)
    assert second["sftguide/samples_seen"] == 40
    assert second["sftguide/nonfinite_steps"] == 0


def test_the_log_keys_reach_tensorboard(
    train_trl: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = pytest.importorskip(
        "tensorboard.backend.event_processing.event_file_loader"
    )
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    train_trl(GradientMonitorCallback(), report_to=["tensorboard"])
    (path,) = (tmp_path / "board").rglob("events.out.tfevents.*")
    tags = {
        value.tag
        for event in events.EventFileLoader(str(path)).Load()
        for value in event.summary.value
    }
    assert "train/sftguide/grad_norm_mean" in tags


def test_steps_after_the_last_log_are_recorded(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(GradientMonitorCallback(), logging_steps=100)
    assert len(outcome.trace.observations) == STEPS
    assert outcome.run.step == STEPS


def test_the_learning_rate_is_the_one_the_step_was_taken_with(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(
        GradientMonitorCallback(), lr_scheduler_type="linear", warmup_steps=3
    )
    rates = [o.learning_rate for o in outcome.trace.observations]
    assert rates[0] == 0.0
    assert rates[3] == pytest.approx(0.003)
    assert rates == pytest.approx([log["learning_rate"] for log in outcome.logs])


@pytest.mark.parametrize("event", ["on_step_begin", "on_pre_optimizer_step"])
def test_a_rate_that_another_callback_sets_is_the_one_recorded(
    train_trl: Callable[..., Any], event: str
) -> None:
    def set_rate(
        args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any
    ) -> None:
        for group in optimizer.param_groups:
            group["lr"] = 1e-4 * (state.global_step + 1)

    other = TrainerCallback()
    setattr(other, event, set_rate)
    outcome = train_trl(GradientMonitorCallback(), other)
    rates = [o.learning_rate for o in outcome.trace.observations]
    assert rates == pytest.approx([1e-4 * n for n in range(1, STEPS + 1)])


def test_trained_tokens_are_those_that_carry_a_label(
    train_trl: Callable[..., Any],
) -> None:
    outcome = train_trl(GradientMonitorCallback(), max_steps=64)
    labels = [x for row in outcome.trainer.train_dataset["labels"] for x in row]
    tokens = [o.trained_tokens for o in outcome.trace.observations]
    assert sum(tokens) == sum(label != -100 for label in labels) > 0


@pytest.mark.parametrize("strategy", ["bfd", "wrapped"])
def test_under_packing_the_samples_are_counted_from_the_batches(
    train_trl: Callable[..., Any], strategy: str
) -> None:
    outcome = train_trl(
        GradientMonitorCallback(),
        packing=True,
        packing_strategy=strategy,
        padding_free=False,
        max_length=128,
        per_device_train_batch_size=1,
        max_steps=-1,
        num_train_epochs=1,
        assistant_only_loss=False,
    )
    observations = outcome.trace.observations
    # `wrapped` cuts the stream anywhere and keeps no position: rows are all there is.
    rows = len(outcome.trainer.train_dataset)
    assert observations[-1].samples_seen == (256 if strategy == "bfd" else rows)


def test_one_log_costs_one_host_synchronisation(
    train_trl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    import torch

    ours: list[str] = []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy"):
        original = getattr(torch.Tensor, name)

        def counted(self: Any, *args: Any, _of: Any = original, **kwargs: Any) -> Any:
            caller = sys._getframe(1).f_code
            if "axolotl_sftguide" in caller.co_filename:
                ours.append(caller.co_name)
            return _of(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, counted)
    outcome = train_trl(GradientMonitorCallback(), logging_steps=4)
    assert len(outcome.logs) == 3
    assert ours == ["read"] * 3
