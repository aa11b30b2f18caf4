"""A packed evaluation ignores `eval_batch_size`.

Host: Axolotl
Versions: axolotl 0.19.0
Expected: with `eval_batch_size: 1`, an evaluation holds one sequence at a time.
Observed: it holds `micro_batch_size` sequences, so that the logits of an evaluation
    need a multiple of the memory that was planned for.
Cause: axolotl/core/trainers/base.py, lines 158 to 167: the sampler of packed batches
    takes `per_device_train_batch_size`, for evaluations too.
Reported: not found; https://github.com/axolotl-ai-cloud/axolotl/issues/1813 (open)
    may be one
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
from datasets import Dataset
from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

CONFIG = """
sample_packing: true
eval_sample_packing: true
micro_batch_size: 4
eval_batch_size: 1
eval_steps: 1
val_set_size: 0.5
max_steps: 2
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
            "position_ids": [list(range(len(row))) for row in ids],
            "length": [len(row) for row in ids],
        }
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(folder)
        trainer, *_ = setup_model_and_trainer(cfg, TrainDatasetMeta(rows(), rows(), 2))
        batch = next(iter(trainer.get_eval_dataloader()))
    sequences, tokens = batch["input_ids"].shape
    print("expected: 1 sequence of 64 tokens")
    print(
        f"observed: {sequences} x {tokens} tokens; per_device_eval_batch_size is "
        f"{trainer.args.per_device_eval_batch_size}"
    )
    sys.exit(0 if sequences * tokens > 64 else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
