"""A loss that is NaN from the first step on is logged as 0.

Host: transformers
Versions: transformers 5.16.1
Expected: the log of a step whose loss is NaN says so.
Observed: `loss` is 0.0 in every log. A watcher that looks for a high or missing loss
    takes the run for a perfect one; `grad_norm`, which is NaN, shows it.
Cause: `logging_nan_inf_filter` is on by default (transformers/training_args.py, line
    997) and puts the mean of the losses so far in place of such a loss
    (transformers/trainer.py, line 1771), which is 0 where there are none.
Reported: https://github.com/huggingface/trl/issues/6702 (closed), for GRPO
"""

import sys
import tempfile

try:
    from transformers import Trainer, TrainingArguments
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
import torch
from datasets import Dataset


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((1,), float("nan")))

    def forward(self, labels):
        return {"loss": (self.weight * self.weight).sum()}


with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model=Model(),
        args=TrainingArguments(
            output_dir=folder,
            max_steps=4,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict({"labels": [0] * 8}),
    )
    trainer.train()
logs = [log for log in trainer.state.log_history if "loss" in log]
losses = [log["loss"] for log in logs]
print("expected: loss nan in four logs")
print(f"observed: loss {losses}, grad_norm {[log['grad_norm'] for log in logs]}")
sys.exit(0 if losses == [0.0] * 4 else 2)
