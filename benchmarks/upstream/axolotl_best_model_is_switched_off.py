"""`load_best_model_at_end: true` is switched off without a message.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: a run that evaluates and saves at the same moments loads its best checkpoint
    at the end, as asked, or an error says why it cannot.
Observed: the option is false in the trainer, and the last model is kept: with
    `save_strategy: epoch` and `eval_strategy: epoch`, and with one save and ten
    evaluations per epoch.
Cause: axolotl/core/builders/causal.py, lines 248 to 260: `save_steps` and
    `eval_steps` must be set and divide. Strategies by epoch set neither, and
    fractions of the run are divided as floating-point numbers (1/2 % 1/20 is not 0).
Reported: not found; https://github.com/axolotl-ai-cloud/axolotl/issues/1286 (closed)
    was the same with `test_datasets`
"""

import sys
import tempfile
from pathlib import Path

try:
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import TrainDatasetMeta
    from axolotl.train import setup_model_and_trainer
except ImportError as error:
    print(f"cannot be run here: {error}")
    sys.exit(77)
import yaml
from datasets import Dataset
from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

CONFIG = """
load_best_model_at_end: true
val_set_size: 0.1
num_epochs: 2
micro_batch_size: 2
datasets: [{path: unused, type: alpaca}]
sequence_len: 64
gradient_accumulation_steps: 1
learning_rate: 0.001
bf16: false
fp16: false
tf32: false
attn_implementation: sdpa
"""


def config(folder, **keys):
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
    keys |= {"base_model": folder, "output_dir": f"{folder}/out"}
    path.write_text(CONFIG + yaml.safe_dump(keys))
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


def loads_best(**cadence):
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(folder, **cadence)
        trainer, *_ = setup_model_and_trainer(cfg, TrainDatasetMeta(rows(), rows(), 2))
        return trainer.args.load_best_model_at_end


def main():
    print("expected: load_best_model_at_end is True in the trainer, or an error")
    off = 0
    for cadence in (
        {"save_strategy": "epoch", "eval_strategy": "epoch"},
        {"saves_per_epoch": 1, "evals_per_epoch": 10},
        {"save_steps": 20, "eval_steps": 10},
    ):
        found = loads_best(**cadence)
        print(f"observed: {cadence}: {found}")
        off += not found
    sys.exit(0 if off else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
