"""`use_trackio` ends the run with a TypeError: the pinned versions do not fit.

Host: Axolotl
Versions: axolotl 0.19.0, which requires trackio 0.19.0 and transformers 5.16.1
Expected: a run with `use_trackio: true` trains in the environment that Axolotl pins.
Observed: TypeError: init() got an unexpected keyword argument 'bucket_id', before the
    first step. With trackio 0.43.0, against the requirement, it works.
Cause: transformers/integrations/integration_utils.py, line 991, passes an argument
    that trackio 0.19.0 does not have.
Reported: not found; https://github.com/huggingface/transformers/pull/45329 (merged)
    introduced the argument
"""

import os
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version

try:
    pinned = [line for line in requires("axolotl") or [] if "trackio" in line]
    print(f"axolotl {version('axolotl')} requires {pinned}")
    folder = tempfile.mkdtemp()
    os.environ["TRACKIO_DIR"] = folder
    print(f"installed: trackio {version('trackio')}")
    import trackio  # noqa: F401
except (ImportError, PackageNotFoundError) as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments

if pinned and f"=={version('trackio')}" not in pinned[0].replace(" ", ""):
    print("cannot be run here: another trackio than the pinned one is installed")
    sys.exit(77)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, labels):
        return {"loss": self.weight.sum()}


print("expected: one step is trained and logged")
trainer = Trainer(
    model=Model(),
    args=TrainingArguments(
        output_dir=folder,
        max_steps=1,
        report_to=["trackio"],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    ),
    train_dataset=Dataset.from_dict({"labels": [0] * 8}),
)
try:
    trainer.train()
except TypeError as error:
    print(f"observed: TypeError: {error}, at step {trainer.state.global_step}")
    sys.exit(0)
print("observed: it trains")
sys.exit(2)
