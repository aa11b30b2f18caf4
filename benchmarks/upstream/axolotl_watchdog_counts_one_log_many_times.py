"""`loss_watchdog_patience` counts one logged loss once for every step.

Host: Axolotl
Versions: axolotl 0.19.0, transformers 5.16.1
Expected: with `logging_steps: 4` and `loss_watchdog_patience: 3`, three logged losses
    above the threshold stop the run: at step 12 at the earliest.
Observed: it stops at step 7, after a single logged loss.
Cause: axolotl/utils/callbacks/__init__.py, lines 66 to 83: `on_step_end` looks at the
    last entry of the log history, which stays the same until the next log.
Reported: not found
"""

import sys
import tempfile
from types import SimpleNamespace

try:
    from axolotl.utils.callbacks import LossWatchDogCallback
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments

EVERY, PATIENCE = 4, 3


class HighLoss(torch.nn.Module):
    """Its loss is 10 at each step."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, labels):
        return {"loss": 10.0 + 0.0 * self.weight.sum()}


with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model=HighLoss(),
        args=TrainingArguments(
            output_dir=folder,
            max_steps=20,
            logging_steps=EVERY,
            report_to=[],
            use_cpu=True,
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict({"labels": [0] * 8}),
        callbacks=[
            LossWatchDogCallback(
                SimpleNamespace(
                    loss_watchdog_threshold=5.0, loss_watchdog_patience=PATIENCE
                )
            )
        ],
    )
    trainer.train()
logged = [log["step"] for log in trainer.state.log_history if "loss" in log]
stopped = trainer.state.global_step
print(f"expected: stopped at step {EVERY * PATIENCE}, after {PATIENCE} logs")
print(f"observed: stopped at step {stopped}; losses were logged at steps {logged}")
sys.exit(0 if stopped < EVERY * PATIENCE else 2)
