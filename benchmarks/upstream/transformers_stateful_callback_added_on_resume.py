"""A stateful callback that is new on a resume ends the run at its first save.

Host: transformers
Versions: transformers 5.16.1
Expected: a run that is resumed with one more `ExportableState` callback, such as
    `EarlyStoppingCallback`, trains on and saves.
Observed: KeyError with the callback's name at the next checkpoint, after the steps up
    to it were trained.
Cause: transformers/trainer.py, line 3140: `stateful_callbacks[cb_name]` is read, but
    the state of the checkpoint has no such entry.
Reported: not found; https://github.com/huggingface/transformers/pull/33875 (open)
    changes the same lines for another fault
"""

import sys
import tempfile

try:
    from transformers import EarlyStoppingCallback, Trainer, TrainingArguments
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
import torch
from datasets import Dataset

DATA = Dataset.from_dict({"x": [1.0] * 8, "labels": [2.0] * 8})


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, labels=None):
        loss = ((self.layer(x[:, None]) - labels[:, None]) ** 2).mean()
        return {"loss": loss, "logits": x}


def train(folder, steps, *callbacks, **words):
    Trainer(
        model=Model(),
        args=TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            save_steps=2,
            eval_strategy="steps",
            eval_steps=2,
            load_best_model_at_end=True,
            metric_for_best_model="eval_loss",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=DATA,
        eval_dataset=DATA,
        callbacks=list(callbacks),
    ).train(**words)


with tempfile.TemporaryDirectory() as folder:
    train(folder, 2)
    print("expected: the resumed run saves at step 4")
    try:
        train(folder, 4, EarlyStoppingCallback(3), resume_from_checkpoint=True)
    except KeyError as error:
        print(f"observed: KeyError: {error} at the save of step 4")
        sys.exit(0)
print("observed: it saved")
sys.exit(2)
