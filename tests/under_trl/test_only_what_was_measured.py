"""Rules act on what was measured; what was not is unknown, and not zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from plain import (
    SMALL,
    make_model,
    make_rows,
    make_scorer,
    make_trainer,
    nan_from,
    runs,
    steps_of,
    watched,
    weights,
)
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForTokenClassification,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
)
from transformers.trainer_pt_utils import LayerWiseDummyOptimizer

from axolotl_sftguide import GradientMonitorCallback
from axolotl_sftguide.runs.marker import read_marker

IDS = [[i % 60 + 1] * 5 for i in range(64)]


def layerwise(model: Any, *, to_none: bool) -> tuple[Any, Any]:
    """An optimizer for each parameter, which steps inside the backward pass."""
    each = {p: torch.optim.SGD([p], lr=1e-2) for p in model.parameters()}

    def step(parameter: Any) -> None:
        each[parameter].step()
        each[parameter].zero_grad(set_to_none=to_none)

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(step)
    whole = LayerWiseDummyOptimizer(optimizer_dict=each)
    return whole, torch.optim.lr_scheduler.LambdaLR(whole, lambda _: 1.0)


@pytest.mark.parametrize("to_none", [True, False])
def test_the_norm_of_an_optimizer_inside_the_backward_pass_is_unknown(
    to_none: bool, tmp_path: Path
) -> None:
    trained = []
    for make in (make_trainer, watched):
        model = make_model()
        trainer = make(
            tmp_path / make.__name__,
            model=model,
            given={"optimizers": layerwise(model, to_none=to_none)},
            max_steps=24,
        )
        trainer.train()
        trained.append(weights(model))
    assert torch.equal(*trained)
    (run,) = runs()
    assert (run.status, run.step, run.comparable) == ("finished", 24, False)
    steps = steps_of(tmp_path / "watched")
    assert all(step.grad_norm != step.grad_norm for step in steps)
    assert not any(step.measured for step in steps)


class StepsItself(Trainer):  # type: ignore[misc]
    """A trainer whose training step also takes the optimizer step."""

    def training_step(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
        model.train()
        loss = self.compute_loss(model, self._prepare_inputs(inputs))
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 1e-2 * parameter.grad
                parameter.grad.zero_()
        return loss.detach()


def test_gradients_that_a_training_step_has_cleared_are_unknown(tmp_path: Path) -> None:
    trainer = watched(tmp_path, kind=StepsItself, max_steps=24)
    trainer.train()
    (run,) = runs()
    assert (run.status, run.step) == ("finished", 24)
    assert not any(step.measured for step in steps_of(tmp_path))


def test_gradients_that_are_zero_are_a_norm_of_zero(tmp_path: Path) -> None:
    class Zero(Trainer):  # type: ignore[misc]
        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            return super().compute_loss(*args, **kwargs) * 0 + 1

    watched(tmp_path, kind=Zero, max_steps=24).train()
    (run,) = runs()
    assert (run.status, run.step) == ("terminated", 5)
    assert all(step.measured and not step.grad_norm for step in steps_of(tmp_path))


@pytest.mark.parametrize("head_rate", [1e-2, 0.0])
def test_a_first_group_without_a_rate_is_no_run_without_one(
    head_rate: float, tmp_path: Path
) -> None:
    model = make_model()
    *body, head = model.parameters()
    groups = [{"params": body, "lr": 0.0}, {"params": [head], "lr": head_rate}]
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    given = {"optimizers": (optimizer, schedule)}
    watched(tmp_path, model=model, given=given, max_steps=24).train()
    (run,) = runs()
    assert (run.status == "finished") == (head_rate > 0)
    assert {step.learning_rate for step in steps_of(tmp_path)} == {head_rate}


def bert(kind: Any, **more: Any) -> Any:
    torch.manual_seed(0)
    return kind(BertConfig(**SMALL, **more))


def t5() -> Any:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=64,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config)


LABELS = {
    "one token for an encoder-decoder": (t5, [[i % 9 + 1] for i in range(64)], 4),
    "three tokens for an encoder-decoder": (t5, [[1, 2, 3]] * 64, 12),
    "a masked language model": (
        lambda: bert(BertForMaskedLM),
        [[-100, 7, -100, 8, 9]] * 64,
        12,
    ),
    "a token classifier": (
        lambda: bert(BertForTokenClassification, num_labels=2),
        [[0, 1, 0, 1, -100]] * 64,
        16,
    ),
    "one value": (
        lambda: make_scorer(num_labels=1),
        [[float(i)] for i in range(64)],
        None,
    ),
    "one class": (lambda: make_scorer(num_labels=2), [i % 2 for i in range(64)], None),
}


@pytest.mark.parametrize("case", LABELS)
def test_trained_tokens_follow_the_labels_of_the_model(
    case: str, tmp_path: Path
) -> None:
    make, labels, tokens = LABELS[case]
    rows = Dataset.from_dict({"input_ids": IDS, "labels": labels})
    watched(tmp_path, model=make(), rows=rows, max_steps=16).train()
    assert runs()[0].status == "finished"
    assert {step.trained_tokens for step in steps_of(tmp_path)} == {tokens}


class Images(torch.utils.data.IterableDataset):  # type: ignore[misc]
    def __iter__(self) -> Any:
        draw = torch.Generator().manual_seed(0)
        while True:
            x = torch.randn(4, generator=draw)
            yield {"pixel_values": x, "labels": (x.sum() > 0).long()}


class Net(torch.nn.Module):
    """A module of torch, without a configuration."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = torch.nn.Linear(4, 2)

    def forward(self, pixel_values: Any = None, labels: Any = None) -> Any:
        out = self.line(pixel_values)
        return {"loss": torch.nn.functional.cross_entropy(out, labels), "logits": out}


def test_a_module_without_a_configuration_on_a_stream_is_watched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched(tmp_path, model=Net(), rows=Images(), max_steps=20, logging_steps=7).train()
    (run,) = runs()
    assert (run.status, run.step, run.comparable) == ("finished", 20, False)
    assert [s.samples_seen for s in steps_of(tmp_path)] == list(range(4, 84, 4))
    assert "base_model could not be read from this trainer" in capsys.readouterr().out


class Scaled(Trainer):  # type: ignore[misc]
    """With a real loss scaler, which transformers gives only to GPUs."""

    first_scale = 2.0**30
    bad_gradients = False

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        scaler = torch.amp.GradScaler("cpu", init_scale=self.first_scale)
        self.accelerator.scaler = scaler
        self.accelerator.native_amp = True
        self.accelerator.state._mixed_precision = "fp16"

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        loss = super().training_step(*args, **kwargs)
        if self.bad_gradients:
            for parameter in self.model.parameters():
                parameter.grad.fill_(float("nan"))
        return loss


def test_overflows_that_set_the_scale_of_the_loss_stop_nothing(tmp_path: Path) -> None:
    watched(tmp_path, kind=Scaled, max_steps=40, learning_rate=1e-3).train()
    skipped = [step.step for step in steps_of(tmp_path) if step.skipped]
    assert len(skipped) >= 5
    assert skipped == list(range(1, len(skipped) + 1))
    (run,) = runs()
    assert (run.status, run.step, run.comparable) == ("finished", 40, True)


def test_gradients_that_overflow_at_any_scale_stop_the_run(tmp_path: Path) -> None:
    kind = type("Bad", (Scaled,), {"bad_gradients": True, "first_scale": 4.0})
    watched(tmp_path, kind=kind, max_steps=40).train()
    (run,) = runs()
    assert run.status == "terminated"
    assert run.step < 16


@pytest.mark.parametrize(
    "logging",
    [
        {"logging_steps": 500},
        {"logging_strategy": "no"},
        {"logging_strategy": "epoch"},
    ],
)
@pytest.mark.parametrize("step", [1, 9, 23])
def test_a_run_on_nan_is_stopped_however_rare_its_logs_are(
    logging: dict[str, Any], step: int, tmp_path: Path
) -> None:
    trainer = watched(tmp_path, kind=nan_from(step), max_steps=60, **logging)
    trainer.train()
    assert step + 4 <= trainer.state.global_step <= step + 19
    (run,) = runs()
    assert (run.status, run.step) == ("terminated", trainer.state.global_step)


def test_a_run_whose_last_steps_are_nan_is_not_finished(tmp_path: Path) -> None:
    watched(tmp_path, kind=nan_from(2), max_steps=10, logging_strategy="no").train()
    (run,) = runs()
    assert (run.status, run.step) == ("terminated", 10)


def test_message_and_marker_name_the_end_and_the_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched(tmp_path, kind=nan_from(1), max_steps=40, logging_strategy="epoch").train()
    said = " ".join(capsys.readouterr().out.split())
    assert "stopped at step 16 of 40 (64 samples) by non_finite, found at step 5:" in (
        said
    )
    marker = read_marker(tmp_path)
    assert marker is not None
    assert (marker.step, marker.found_at, marker.bad_since) == (16, 5, 1)


class OwnLoop(Trainer):  # type: ignore[misc]
    """A trainer that calls no `training_step`, as PPO does."""

    def train(self) -> None:
        self.create_optimizer_and_scheduler(num_training_steps=4)
        self.state.max_steps = 4
        handler = self.callback_handler
        self.control = handler.on_train_begin(self.args, self.state, self.control)
        for batch in list(self.get_train_dataloader())[:4]:
            self.accelerator.backward(self.model(**batch).loss)
            self.optimizer.step()
            self.state.global_step += 1
            self.control = handler.on_step_end(self.args, self.state, self.control)
        self.control = handler.on_train_end(self.args, self.state, self.control)


def test_a_trainer_whose_steps_cannot_be_seen_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched(tmp_path, kind=OwnLoop).train()
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("the steps of OwnLoop cannot be seen") == 1
    assert runs()[0].reason == "its steps could not be seen"


def test_a_buffer_that_holds_every_loss_is_copied(tmp_path: Path) -> None:
    buffer = torch.zeros(())

    class Static(Trainer):  # type: ignore[misc]
        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            return buffer.copy_(super().training_step(*args, **kwargs))

    make_trainer(
        tmp_path, GradientMonitorCallback(), kind=Static, logging_steps=8
    ).train()
    assert len({step.loss for step in steps_of(tmp_path)}) == 8


def test_weights_that_the_trainer_put_back_are_not_lost(tmp_path: Path) -> None:
    trainer = watched(
        tmp_path,
        kind=nan_from(9),
        max_steps=40,
        eval_strategy="steps",
        eval_steps=4,
        save_strategy="steps",
        save_steps=4,
        load_best_model_at_end=True,
    )
    trainer.train()
    assert bool(torch.isfinite(weights(trainer.model)).all())
    marker = read_marker(tmp_path)
    assert marker is not None
    assert not marker.weights_are_lost
    assert marker.loaded_checkpoint == trainer.state.best_model_checkpoint


def test_the_setting_to_push_is_given_back_and_nothing_is_pushed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pushed: list[str] = []
    kind = type(
        "Pushing",
        (nan_from(1),),
        {
            "push_to_hub": lambda self, *_, **__: pushed.append("pushed"),
            "_finish_current_push": lambda self: None,
        },
    )
    trainer = watched(tmp_path, kind=kind, max_steps=12)
    trainer.args.push_to_hub = True
    trainer.train()
    assert trainer.args.push_to_hub
    trainer.save_model(str(tmp_path / "model"))
    assert pushed == []
    assert "not pushed to the hub" in " ".join(capsys.readouterr().out.split())
    kind.step = 999
    trainer.model = trainer.model_wrapped = make_model()
    trainer.train()
    trainer.save_model(str(tmp_path / "model"))
    assert pushed == ["pushed"]


def test_each_evaluation_set_gives_a_score(tmp_path: Path) -> None:
    sets = {"a": make_rows(8), "b": make_rows(4)}
    trainer = make_trainer(
        tmp_path,
        GradientMonitorCallback(),
        eval_strategy="steps",
        eval_steps=4,
        given={"eval_dataset": sets},
    )
    trainer.train()
    scores = {score.metric for score in runs()[0].scores}
    assert scores == {"eval_a_loss", "eval_b_loss"}


class Words(torch.nn.Module):
    """A model whose embedding may have sparse gradients, or any precision."""

    def __init__(self, *, sparse: bool, kind: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = torch.nn.Embedding(64, 8, sparse=sparse, dtype=kind)
        self.head = torch.nn.Linear(8, 64, dtype=kind)

    def forward(self, input_ids: Any, labels: Any) -> Any:
        scores = self.head(self.words(input_ids))
        loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), labels.flatten())
        return {"loss": loss, "logits": scores}


class WithoutNorm(Trainer):  # type: ignore[misc]
    """The trainer's own norm cannot be computed from sparse gradients."""

    def _get_grad_norm(self, *_: Any, **__: Any) -> None:
        return None


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_gradients_of_any_kind_are_watched_and_left_as_they_are(
    sparse: bool, kind: torch.dtype, tmp_path: Path
) -> None:
    trained = []
    for ours in ([], [GradientMonitorCallback(noise_scale=True, noise_scale_every=1)]):
        model = Words(sparse=sparse, kind=kind)
        rate = torch.optim.SGD(model.parameters(), lr=0.1)
        trainer = make_trainer(
            tmp_path / str(len(ours)),
            *ours,
            kind=WithoutNorm if sparse else Trainer,
            model=model,
            given={
                "optimizers": (rate, torch.optim.lr_scheduler.ConstantLR(rate, 1.0))
            },
            gradient_accumulation_steps=2,
            max_grad_norm=0.0,
        )
        trainer.train()
        trained.append(weights(model))
    assert torch.equal(*trained)
    steps = steps_of(tmp_path / "1")
    assert len(steps) == 8
    assert all(step.measured != sparse for step in steps)
    assert all((step.grad_noise is None) == sparse for step in steps)
