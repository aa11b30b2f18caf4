"""A plugin's `post_train` is called twice.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: once after the training, as the docstring of `BasePlugin.post_train` says.
Observed: twice: when the trainer has ended, and again when the model is saved. What a
    plugin does there, such as an evaluation or an upload, happens twice.
Cause: axolotl/train.py, line 240 (in `execute_training`) and line 677 (in `train`).
Reported: not found
"""

import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import TrainDatasetMeta
    from axolotl.integrations.base import BasePlugin, PluginManager
    from axolotl.train import train
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
from datasets import Dataset
from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

CONFIG = """
micro_batch_size: 2
max_steps: 2
save_strategy: "no"
datasets: [{path: unused, type: alpaca}]
sequence_len: 64
gradient_accumulation_steps: 1
learning_rate: 0.001
bf16: false
fp16: false
tf32: false
attn_implementation: sdpa
"""


def config(folder):
    """The config above with a tiny random model."""
    ByT5Tokenizer().save_pretrained(folder)  # needs no files
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=384,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
    ).save_pretrained(folder)
    path = Path(folder, "config.yml")
    path.write_text(f"{CONFIG}base_model: {folder}\noutput_dir: {folder}/out\n")
    return load_cfg(str(path))


def rows():
    """Tokenised samples of 4 to 12 tokens, as Axolotl prepares them."""
    ids = [[2 + (i + j) % 90 for j in range(4 + i % 9)] for i in range(64)]
    return Dataset.from_dict(
        {
            "input_ids": ids,
            "labels": ids,
            "attention_mask": [[1] * len(row) for row in ids],
        }
    )


class Counting(BasePlugin):
    calls = 0

    def post_train(self, cfg, model):
        Counting.calls += 1


def main():
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(folder)
        PluginManager.get_instance().plugins["counting"] = Counting()
        train(cfg=cfg, dataset_meta=TrainDatasetMeta(rows(), rows(), 2))
    print("expected: 1 call")
    print(f"observed: {Counting.calls} calls")
    sys.exit(0 if Counting.calls > 1 else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
