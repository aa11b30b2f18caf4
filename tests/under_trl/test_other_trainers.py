"""Trainers of TRL other than SFT: what is counted, and what may stop them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from plain import make_model, make_scorer, runs, samples_of, steps_of, weights
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    DataCollatorWithFlattening,
    PreTrainedTokenizerFast,
    Trainer,
)

from axolotl_sftguide import EarlyTerminationCallback, GradientMonitorCallback


def tokenizer() -> Any:
    words = ["<pad>", "<eos>", "<unk>", *map(str, range(61))]
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, "<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )


def pairs(count: int) -> Dataset:
    return Dataset.from_dict(
        {
            "prompt": [f"{i % 50} " for i in range(count)],
            "chosen": [f"{i % 50 + 1} {i % 7}" for i in range(count)],
            "rejected": [f"{i % 50 + 7}" for i in range(count)],
        }
    )


def ours(**rules: Any) -> list[Any]:
    return [
        GradientMonitorCallback(),
        EarlyTerminationCallback(action="stop", **rules),
    ]


def settings(folder: Path, **changed: Any) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "max_steps": 6,
        "per_device_train_batch_size": 4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        **changed,
    }


def dpo(folder: Path, callbacks: list[Any], count: int = 32, **changed: Any) -> Any:
    from trl import DPOConfig, DPOTrainer

    return DPOTrainer(
        model=make_model(),
        ref_model=make_model(),
        args=DPOConfig(**settings(folder, **changed)),
        train_dataset=pairs(count),
        processing_class=tokenizer(),
        callbacks=callbacks,
    )


def reward(folder: Path, callbacks: list[Any], count: int = 32, **changed: Any) -> Any:
    from trl import RewardConfig, RewardTrainer

    return RewardTrainer(
        model=make_scorer(num_labels=1),
        args=RewardConfig(**settings(folder, **changed)),
        train_dataset=pairs(count),
        processing_class=tokenizer(),
        callbacks=callbacks,
    )


def grpo(folder: Path, callbacks: list[Any], score: Any, **changed: Any) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    model = make_model()
    model.generation_config.pad_token_id = 0
    model.generation_config.eos_token_id = 1
    chosen = {"num_generations": 4, "max_completion_length": 6, "max_steps": 16}
    chosen |= {"learning_rate": 3e-3, "per_device_train_batch_size": 8, **changed}
    return GRPOTrainer(
        model=model,
        reward_funcs=score,
        processing_class=tokenizer(),
        train_dataset=Dataset.from_dict({"prompt": [f"{i % 60}" for i in range(240)]}),
        args=GRPOConfig(**settings(folder, **chosen)),
        callbacks=callbacks,
    )


def low_words(completions: list[str], **_: Any) -> list[float]:
    numbers = [[int(w) for w in c.split() if w.isdigit()] for c in completions]
    return [sum(number < 30 for number in own) / 6 for own in numbers]


@pytest.mark.parametrize("make", [dpo, reward])
@pytest.mark.parametrize(
    ("count", "changed"),
    [
        (32, {}),
        (32, {"gradient_accumulation_steps": 3}),
        (10, {"max_steps": 6}),  # the last batch of an epoch has two pairs
        (3, {"max_steps": 4}),  # less than a batch
    ],
)
def test_a_pair_of_answers_is_one_sample(
    make: Any, count: int, changed: dict[str, Any], tmp_path: Path
) -> None:
    trainer = make(tmp_path, ours(), count, **changed)
    trainer.train()
    (run,) = runs()
    assert run.samples_seen == round(trainer.state.epoch * count)
    assert all(step.samples_counted for step in steps_of(tmp_path))


def test_pairs_without_padding_are_counted_once(tmp_path: Path) -> None:
    trainer = dpo(tmp_path, ours(), padding_free=True)
    trainer.train()
    assert samples_of(tmp_path) == [4, 8, 12, 16, 20, 24]


@pytest.mark.parametrize("make", [dpo, reward])
def test_a_preference_run_that_keeps_its_first_loss_is_not_stopped(
    make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make(
        tmp_path,
        ours(not_learning={"grace": 16, "patience": 4}),
        learning_rate=1e-9,
        max_steps=60,
    )
    trainer.train()
    assert trainer.state.global_step == 60
    said = " ".join(capsys.readouterr().out.split())
    assert "not_learning, comparison, cohort and prediction only warn" in said
    assert "stops on non_finite, divergence; warns on not_learning" in said


@pytest.mark.parametrize("make", [dpo, reward])
def test_a_preference_run_on_nan_is_stopped(make: Any, tmp_path: Path) -> None:
    trainer = make(tmp_path, ours(), max_steps=40, logging_steps=500)
    compute_loss = trainer.compute_loss
    trainer.compute_loss = lambda *a, **k: compute_loss(*a, **k) * float("nan")
    trainer.train()
    assert (runs()[0].status, trainer.state.global_step) == ("terminated", 16)


def test_grpo_whose_first_rewards_are_equal_is_not_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    def late(completions: list[str], **_: Any) -> list[float]:
        calls.append(1)
        return low_words(completions) if len(calls) > 7 else [0.0] * len(completions)

    trainer = grpo(tmp_path, ours(), late)
    trainer.train()
    assert trainer.state.global_step == 16
    said = " ".join(capsys.readouterr().out.split())
    assert "GRPOTrainer: its loss is no measure of progress" in said
    assert "stops on non_finite; warns on divergence, not_learning" in said


def test_watching_grpo_changes_no_weight(tmp_path: Path) -> None:
    trained = []
    for callbacks in ([], ours()):
        trainer = grpo(tmp_path / str(len(trained)), callbacks, low_words)
        trainer.train()
        trained.append(weights(trainer.model))
    assert torch.equal(*trained)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"position_ids_start": 2},
        {"return_flash_attn_kwargs": True},
        {"return_seq_idx": True},
        {"return_flash_attn_kwargs": True, "return_position_ids": False},
    ],
)
def test_the_rows_of_a_flattened_batch_are_counted(
    options: dict[str, Any], tmp_path: Path
) -> None:
    from plain import make_rows, make_trainer

    start = options.get("position_ids_start", 0)
    options = {k: v for k, v in options.items() if k != "position_ids_start"}
    try:
        collator = DataCollatorWithFlattening(
            **options, **({"position_ids_start": start} if start else {})
        )
    except TypeError:
        pytest.skip("this transformers does not have the option")

    class Drop(Trainer):  # type: ignore[misc]
        """The model takes no sequence index."""

        def compute_loss(self, model: Any, inputs: Any, *args: Any, **kw: Any) -> Any:
            inputs = {k: v for k, v in inputs.items() if k != "seq_idx"}
            return super().compute_loss(model, inputs, *args, **kw)

    trainer = make_trainer(
        tmp_path,
        *ours(),
        kind=Drop,
        rows=make_rows().remove_columns("attention_mask"),
        given={"data_collator": collator},
    )
    trainer.train()
    assert samples_of(tmp_path) == [4 * n for n in range(1, 9)]
