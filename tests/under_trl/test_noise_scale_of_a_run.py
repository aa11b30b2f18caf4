"""The noise of a step, against the micro batches' gradients taken one by one."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Forked
from same_bits import assert_same_bits
from transformers import Trainer, TrainerCallback

from axolotl_sftguide import GradientMonitorCallback
from axolotl_sftguide.config.settings import load_settings
from axolotl_sftguide.runs.traces import find_traces, read_trace
from axolotl_sftguide.signals import norm_at_batch
from axolotl_sftguide.signals.noise_scale import estimate

ON = {"monitor": {"noise_scale": True, "noise_scale_every": 1}}


def monitor(**monitor: Any) -> GradientMonitorCallback:
    block = {"monitor": ON["monitor"] | monitor}
    return GradientMonitorCallback(settings=load_settings(block))


class OneByOne(TrainerCallback):
    """Takes each micro batch's gradient as the growth of the accumulated one."""

    def __init__(self) -> None:
        self.noise: list[float] = []
        self._tokens: list[int] = []
        self._squares: list[float] = []
        self._before: list[torch.Tensor] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kw: Any) -> None:
        frame = sys._getframe(1)
        while not isinstance(frame.f_locals.get("self"), Trainer):
            frame = frame.f_back  # type: ignore[assignment]
        trainer = frame.f_locals["self"]
        original = trainer.training_step

        def step(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            self._tokens.append(int((inputs["labels"][:, 1:] != -100).sum()))
            loss = original(model, inputs, *args, **kwargs)
            self._grew(model)
            return loss

        trainer.training_step = step

    def _grew(self, model: Any) -> None:
        now = [
            p.grad.detach().double().clone()
            for p in model.parameters()
            if p.grad is not None
        ]
        before = self._before or [torch.zeros_like(g) for g in now]
        pairs = zip(now, before, strict=True)
        self._squares.append(float(sum((a - b).square().sum() for a, b in pairs)))
        self._before = now

    def on_step_end(self, *_: Any, **__: Any) -> None:
        assert self._before is not None
        whole = float(sum(g.square().sum() for g in self._before))
        total = sum(self._tokens)
        q = sum(n * n for n in self._tokens) / total**2
        self.noise.append((sum(self._squares) - q * whole) / (1 - q))
        self._tokens, self._squares, self._before = [], [], None


@pytest.mark.parametrize(
    "arm", ["full", "lora", "checkpointing", "reentrant checkpointing"]
)
def test_the_noise_of_each_step_is_that_of_its_micro_batches(
    train_trl: Callable[..., Any], adapter: Path, arm: str
) -> None:
    overrides: dict[str, Any] = {"lora": adapter} if arm == "lora" else {}
    if "checkpointing" in arm:
        overrides["gradient_checkpointing"] = True
        reentrant = {"use_reentrant": arm.startswith("reentrant")}
        overrides["gradient_checkpointing_kwargs"] = reentrant
    brute = OneByOne()
    outcome = train_trl(
        monitor(), brute, gradient_accumulation_steps=4, max_grad_norm=1e6, **overrides
    )
    found = [o.grad_noise for o in outcome.trace.observations]
    assert found == pytest.approx(brute.noise, rel=1e-4)


def test_every_nth_step_is_measured(train_trl: Callable[..., Any]) -> None:
    outcome = train_trl(monitor(noise_scale_every=4))
    measured = [o.step for o in outcome.trace.observations if o.grad_noise is not None]
    assert measured == [1, 5, 9]


def test_measuring_it_changes_no_bit(
    train_trl: Callable[..., Any], tmp_path: Path
) -> None:
    unwatched = train_trl(output_dir=str(tmp_path / "a"))
    watched = train_trl(monitor(), output_dir=str(tmp_path / "b"))
    assert_same_bits(unwatched, watched)


def test_an_estimate_is_logged_and_printed_at_the_end(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_trl(monitor(), max_steps=24)
    whole = estimate(outcome.trace.observations)
    assert whole is not None
    assert outcome.logs[-1]["sftguide/noise_scale"] == pytest.approx(whole.simple)
    assert "sftguide/noise_scale" not in outcome.logs[3]
    assert "noise scale" in capsys.readouterr().out


def test_a_resumed_run_continues_its_noise_scale(
    train_trl: Callable[..., Any], tmp_path: Path
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 10, "max_steps": 24}
    whole = train_trl(
        monitor(noise_scale_every=3), output_dir=str(tmp_path / "w"), **saving
    )
    first = train_trl(
        monitor(noise_scale_every=3),
        output_dir=str(tmp_path / "r"),
        **saving | {"max_steps": 15},
    )
    resumed = train_trl(
        monitor(noise_scale_every=3),
        output_dir=str(tmp_path / "r"),
        train_kwargs={
            "resume_from_checkpoint": str(first.output_dir / "checkpoint-10")
        },
        **saving,
    )
    one, two = whole.trace.observations, resumed.trace.observations
    assert [o.grad_noise for o in one] == [o.grad_noise for o in two]
    assert one == two


def test_a_noise_scale_that_cannot_be_measured_gets_a_warning(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = train_trl(
        monitor(), per_device_train_batch_size=4, gradient_accumulation_steps=1
    )
    assert all(o.grad_noise is None for o in outcome.trace.observations)
    assert (
        "the noise scale is not measured because a step has only one micro batch"
        in capsys.readouterr().out
    )


def test_samples_grouped_by_length_are_warned_of(
    train_trl: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    train_trl(monitor(), train_sampling_strategy="group_by_length")
    told = capsys.readouterr().out
    assert "will be too low because samples are grouped by length" in told


@pytest.mark.slow
def test_the_norm_of_a_small_batch_is_stated_at_a_large_one(
    train_trl: Callable[..., Any], tmp_path: Path
) -> None:
    """The same weights, seen in batches of 4 and of 16: what is left is noise."""
    # Both see 768 samples, the whole data three times.
    still = {"learning_rate": 0.0, "per_device_train_batch_size": 2}
    traces = [
        train_trl(
            monitor(),
            gradient_accumulation_steps=size // 2,
            max_steps=768 // size,
            output_dir=str(tmp_path / str(size)),
            **still,
        ).trace.observations
        for size in (4, 16)
    ]
    small, large = (root_mean_square(o.grad_norm for o in trace) for trace in traces)
    noise = math.fsum(o.grad_noise for o in traces[0]) / len(traces[0])
    stated = norm_at_batch(small**2, noise, 4 / 16)
    assert small > 1.2 * large  # by arithmetic alone
    assert stated == pytest.approx(large, rel=0.05)


def root_mean_square(norms: Iterable[float]) -> float:
    squares = [norm**2 for norm in norms]
    return math.sqrt(math.fsum(squares) / len(squares))


SCRIPT = """
import json, sys
from pathlib import Path
from hosts import leave_together, make_sft_trainer
from axolotl_sftguide import GradientMonitorCallback
from axolotl_sftguide.config.settings import load_settings

base, data, out = map(Path, sys.argv[1:4])
settings = load_settings(json.loads(sys.argv[4]))
trainer, _ = make_sft_trainer(
    base, data, out, GradientMonitorCallback(settings=settings), ddp_backend="gloo",
    per_device_train_batch_size=1, gradient_accumulation_steps=4, max_steps=4,
    average_tokens_across_devices=True,
)
trainer.train()
leave_together()
"""


def test_two_ranks_by_four_have_the_noise_of_one_by_eight(
    forked: Forked, base: Path, uneven_data: Path, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    (tmp_path / "two").mkdir()
    forked.run_ranks(script, base, uneven_data, tmp_path / "two", json.dumps(ON))
    (path,) = find_traces(tmp_path / "two")
    two = read_trace(path).observations

    from hosts import make_sft_trainer

    trainer, _ = make_sft_trainer(
        base,
        uneven_data,
        tmp_path / "one",
        monitor(),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=8,
        max_steps=4,
    )
    trainer.train()
    (path,) = find_traces(tmp_path / "one")
    one = read_trace(path).observations
    for a, b in zip(one, two, strict=True):
        assert (a.samples_seen, a.trained_tokens) == (b.samples_seen, b.trained_tokens)
        assert a.grad_norm == pytest.approx(b.grad_norm, rel=1e-5)
        assert a.grad_noise == pytest.approx(b.grad_noise, rel=1e-4)
