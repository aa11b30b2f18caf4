"""The recorded norm is held against one computed a second time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback
from axolotl_sftguide.monitor.gradients import independent_norm
from axolotl_sftguide.runs.history import RunHistory, Score
from axolotl_sftguide.signals.comparability import Candidate


def checks(outcome: Any) -> list[dict[str, Any]]:
    return [e for e in outcome.trace.events if e["event"] == "norm_check"]


@pytest.mark.parametrize("max_grad_norm", [1.0, 0.001])
def test_a_right_norm_is_found_right_on_the_first_steps(
    train_trl: Callable[..., Any], max_grad_norm: float
) -> None:
    outcome = train_trl(GradientMonitorCallback(), max_grad_norm=max_grad_norm)
    found = checks(outcome)
    assert [(c["step"], c["right"]) for c in found] == [(s, True) for s in (1, 2, 3)]
    assert [c["ratio"] for c in found] == pytest.approx([1, 1, 1], rel=1e-5)
    assert outcome.run.comparable


def test_a_wrong_norm_gets_one_warning_and_the_run_is_not_compared(
    train_trl: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from accelerate import Accelerator

    original = Accelerator.clip_grad_norm_
    monkeypatch.setattr(
        Accelerator, "clip_grad_norm_", lambda *a, **k: 1.5 * original(*a, **k)
    )
    outcome = train_trl(GradientMonitorCallback(), EarlyTerminationCallback())
    assert [c["ratio"] for c in checks(outcome)] == pytest.approx([1.5] * 3, rel=1e-5)
    told = capsys.readouterr().out
    assert told.count("is 1.5 times the norm computed from the gradients") == 1
    assert not any(o.measured for o in outcome.trace.observations)
    assert not outcome.run.comparable
    history = RunHistory()
    history.add_score(outcome.run.id, Score("m", 1.0, "max"))
    assert history.peers(Candidate(outcome.run.study, outcome.run.key)) == []


def test_gradients_that_this_process_does_not_hold_are_unverified(
    train_trl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from axolotl_sftguide.monitor import gradients

    monkeypatch.setattr(gradients, "_sharded", lambda trainer: True)
    outcome = train_trl(GradientMonitorCallback())
    (check,) = checks(outcome)
    assert (check["ratio"], check["right"]) == (None, None)
    assert outcome.run.comparable


class Held:
    """What `independent_norm` reads of a trainer."""

    def __init__(self, *gradients: torch.Tensor, scale: float | None = None) -> None:
        self.model = self
        self.accelerator = self
        self.distributed_type = "DistributedType.NO"
        self.scaler = None if scale is None else self
        self._scale = scale
        self._parameters = []
        for gradient in gradients:
            parameter = torch.nn.Parameter(torch.zeros_like(gradient))
            parameter.grad = gradient
            self._parameters.append(parameter)

    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self._parameters, torch.nn.Parameter(torch.zeros(3))]

    def get_scale(self) -> float | None:
        return self._scale


def test_a_large_gradient_is_read_in_chunks_whatever_its_layout() -> None:
    draw = torch.Generator().manual_seed(0)
    big = torch.randn(3000, 3000, generator=draw)
    whole = big.double().norm()
    for gradient in (big, big.t(), big[:, ::2].contiguous(), big.bfloat16()):
        found = independent_norm(Held(gradient))
        assert float(found) == pytest.approx(float(gradient.double().norm()), rel=1e-3)
    pair = independent_norm(Held(big, big.t()))
    assert float(pair) == pytest.approx(float(whole) * 2**0.5, rel=1e-3)


def test_the_loss_scale_of_fp16_is_divided_out() -> None:
    gradient = torch.full((10,), 1024.0)
    found = independent_norm(Held(gradient, scale=1024.0))
    assert float(found) == pytest.approx(10**0.5)


def test_sparse_or_absent_gradients_are_not_read() -> None:
    assert independent_norm(Held(torch.eye(3).to_sparse())) is None
    assert independent_norm(Held()) is None


@pytest.mark.parametrize("kind", [torch.float64, torch.complex64, torch.bfloat16])
def test_gradients_of_any_precision_are_read(kind: torch.dtype) -> None:
    found = independent_norm(Held(torch.full((3,), 2.0, dtype=kind)))
    assert float(found) == pytest.approx(12**0.5)
