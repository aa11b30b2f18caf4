"""Gradient accumulation averages the micro batches' means, not the tokens.

Host: Axolotl
Versions: axolotl 0.19.0, transformers 5.16.1
Expected: four rows in one micro batch and in four micro batches give the same loss
    and the same gradient norm, as in transformers' own trainer since 4.46.
Observed: both differ, as each micro batch's mean has the same weight, however many
    tokens it trains.
Cause: axolotl/core/trainers/base.py, lines 119 to 131, turn
    `model_accepts_loss_kwargs` off for nearly every model: `base_model` is a property
    of all models, not of peft's alone, and `num_items_in_batch` is never a named
    parameter of `forward`.
Reported: https://github.com/axolotl-ai-cloud/axolotl/pull/3982 (open)
"""

import sys
import tempfile

try:
    from axolotl.core.trainers.base import AxolotlTrainer
    from axolotl.core.training_args import AxolotlTrainingArguments
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
import torch
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer

TRAINED = (1, 2, 3, 30)  # tokens of each row with a label


def first_step(trainer_class, micro_batch):
    """Loss and gradient norm of one step on the same four rows."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
    )
    ids = torch.randint(0, 64, (4, 32)).tolist()
    labels = [
        [-100] * (32 - count) + row[32 - count :]
        for row, count in zip(ids, TRAINED, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_class(
            model=model,
            args=AxolotlTrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=micro_batch,
                gradient_accumulation_steps=4 // micro_batch,
                max_steps=1,
                logging_steps=1,
                report_to=[],
                use_cpu=True,
                save_strategy="no",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"input_ids": ids, "labels": labels}),
        )
        trainer.train()
    log = trainer.state.log_history[0]
    return round(log["loss"], 4), round(log["grad_norm"], 4)


for name, trainer_class in (("transformers", Trainer), ("Axolotl", AxolotlTrainer)):
    whole, divided = first_step(trainer_class, 4), first_step(trainer_class, 1)
    print(f"{name}: loss and norm as 4x1: {whole}, as 1x4: {divided}")
print("expected: the same for Axolotl as for transformers, twice the same")
apart = abs(whole[0] - divided[0]) > 0.01 * whole[0]
print(f"observed: Axolotl's losses differ by {abs(whole[0] - divided[0]):.4f}")
sys.exit(0 if apart else 2)
