"""Without `attn_implementation`, packed samples attend to each other.

Host: Axolotl
Versions: axolotl 0.19.0, transformers 5.16.1
Expected: with `sample_packing: true`, what a sample is depends on that sample alone,
    or the config is refused.
Observed: where no attention is named, other tokens in the first sample of a row
    change the logits of the second. A warning among hundreds of lines is all. With
    `attn_implementation: sdpa`, which transformers uses here anyway, they are the
    same.
Cause: axolotl/utils/schemas/config.py, line 1506: `attn_decontaminates_packing` is
    false for an unset attention, so that the batch keeps its attention mask
    (axolotl/core/builders/causal.py, line 275). transformers reads that mask as
    booleans and takes the row for one sample.
Reported: https://github.com/axolotl-ai-cloud/axolotl/pull/3796 (merged) fixed it for
    a named attention; https://github.com/axolotl-ai-cloud/axolotl/issues/1806
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
import torch
import yaml
from datasets import Dataset
from transformers import ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

CONFIG = """
sample_packing: true
micro_batch_size: 2
max_steps: 2
datasets: [{path: unused, type: alpaca}]
sequence_len: 64
gradient_accumulation_steps: 1
learning_rate: 0.001
bf16: false
fp16: false
tf32: false
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
            "position_ids": [list(range(len(row))) for row in ids],
            "length": [len(row) for row in ids],
        }
    )


def shift(attention):
    """How far the second sample's logits move when the first sample changes."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = config(folder, attn_implementation=attention)
        trainer, model, *_ = setup_model_and_trainer(
            cfg, TrainDatasetMeta(rows(), rows(), 2)
        )
        batch = next(iter(trainer.get_train_dataloader()))
    batch.pop("labels")
    _, start, end = torch.nonzero(batch["position_ids"][0] == 0)[:3, 0].tolist()
    other = {**batch, "input_ids": batch["input_ids"].clone()}
    other["input_ids"][0, :start] = 50
    model.eval()
    with torch.no_grad():
        one, two = model(**batch).logits, model(**other).logits
    return float((one - two)[0, start:end].abs().max())


def main():
    print("expected: 0 for both")
    shifts = {name: shift(name) for name in (None, "sdpa")}
    for name, moved in shifts.items():
        print(f"observed: attn_implementation: {name}: logits move by {moved:.6f}")
    sys.exit(0 if shifts[None] > 1e-4 else 2)


if __name__ == "__main__":  # Axolotl starts processes
    main()
