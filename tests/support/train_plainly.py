"""A training of the plain transformers Trainer, of any version since 4.30.

    python train_plainly.py FOLDER

Trains a tiny model three times: to its end, with losses that are not finite, and cut
off by an error; each leaves its checkpoints' states.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

STEPS = 12


class CutOff(TrainerCallback):  # type: ignore[misc]
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 10:
            raise ZeroDivisionError("cut off")


def train(folder: Path, learning_rate: float, *callbacks: Any) -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_positions=16, n_embd=16, n_layer=1, n_head=2)
    )
    rows = [{"input_ids": row, "labels": row} for row in torch.randint(1, 64, (32, 8))]
    known = TrainingArguments.__dataclass_fields__
    evaluate = "eval_strategy" if "eval_strategy" in known else "evaluation_strategy"
    args = TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        learning_rate=learning_rate,
        per_device_train_batch_size=4,
        logging_steps=2,
        save_steps=4,
        eval_steps=4,
        report_to=[],
        disable_tqdm=True,
        max_grad_norm=0.0 if learning_rate > 1 else 1.0,
        **{evaluate: "steps"},
    )
    Trainer(
        model=model,
        args=args,
        train_dataset=rows,
        eval_dataset=rows[:8],
        callbacks=list(callbacks),
    ).train()


if __name__ == "__main__":
    out = Path(sys.argv[1])
    train(out / "whole", 1e-3)
    train(out / "not-finite", 1e30)
    with suppress(ZeroDivisionError):
        train(out / "cut-off", 1e-3, CutOff())
